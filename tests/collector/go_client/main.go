// Writes rows with ClickHouse's own Go client over HTTP, reads them back, and prints what it read as JSON.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

const rows = 5000

type row struct {
	Number int64             `json:"number"`
	Text   string            `json:"text"`
	Kind   string            `json:"kind"`
	Maybe  *float64          `json:"maybe"`
	Time   time.Time         `json:"time"`
	List   []string          `json:"list"`
	Map    map[string]string `json:"map"`
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	ctx := context.Background()
	options, err := clickhouse.ParseDSN(os.Args[1])
	check(err)
	conn, err := clickhouse.Open(options)
	check(err)
	check(conn.Ping(ctx))
	check(conn.Exec(ctx, "CREATE TABLE go_client (number Int64, text String, kind LowCardinality(String), "+
		"maybe Nullable(Float64), time DateTime64(9, 'UTC'), list Array(LowCardinality(String)), "+
		"map Map(LowCardinality(String), String)) ENGINE = MergeTree ORDER BY number"))
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO go_client")
	check(err)
	for number := range rows {
		var maybe *float64
		if number%3 > 0 {
			half := float64(number) / 2
			maybe = &half
		}
		check(batch.Append(int64(number), fmt.Sprintf("%0*d", number%300, number), fmt.Sprint("kind ", number%7),
			maybe, time.Unix(1_700_000_000, int64(number)).UTC(), []string{"a", fmt.Sprint(number % 5)},
			map[string]string{"key": fmt.Sprint(number)}))
	}
	check(batch.Send())
	found, err := conn.Query(ctx, "SELECT * FROM go_client ORDER BY number")
	check(err)
	all := []row{}
	for found.Next() {
		var one row
		check(found.Scan(&one.Number, &one.Text, &one.Kind, &one.Maybe, &one.Time, &one.List, &one.Map))
		all = append(all, one)
	}
	check(found.Err())
	check(json.NewEncoder(os.Stdout).Encode(all))
	_, err = conn.Query(ctx, "SELECT no_such_column FROM go_client")
	fmt.Fprintln(os.Stderr, err)
}
