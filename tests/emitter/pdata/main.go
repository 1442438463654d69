// Reads an OTLP request from stdin with the Collector's own decoder and writes it as OTLP/JSON.
package main

import (
	"fmt"
	"io"
	"os"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

func main() {
	data, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	var out []byte
	if os.Args[1] == "logs" {
		request := plogotlp.NewExportRequest()
		if err = request.UnmarshalProto(data); err == nil {
			out, err = request.MarshalJSON()
		}
	} else {
		request := ptraceotlp.NewExportRequest()
		if err = request.UnmarshalProto(data); err == nil {
			out, err = request.MarshalJSON()
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Stdout.Write(out)
}
