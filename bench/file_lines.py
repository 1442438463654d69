"""What a line of OTLP/JSON costs a record, for endpoint file:FOLDER, against protobuf's own JSON."""

from __future__ import annotations

from bench import encode
from bench.row import Row


def measure() -> list[Row]:
    """CPU time a record of steps with 6 values, from a request that is encoded already."""
    from google.protobuf.json_format import MessageToJson
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    from emitter.files import otlp_json

    body = encode._ours(encode.rows(encode._RECORDS))()
    ours = encode._best(lambda: otlp_json.line("logs", body))
    peer = encode._best(
        lambda: MessageToJson(ExportLogsServiceRequest.FromString(body), indent=None).encode()
    )
    return [Row("a train.step as a line of OTLP/JSON", ours, peer, "us", "protobuf json_format", "<= 0.6x")]
