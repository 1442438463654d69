"""Real requests to start from: what our emitter encodes, and what SDKs and Collectors send."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from emitter._records import LOGS, TRACES, Log, Span
from emitter.otlp import encoder
from emitter.otlp.encoder import Encoder
from emitter.vocabulary import topics
from stream.otlp import beacon

NEIGHBOUR: Final = "a good record beside the bad ones"
_RESOURCE: Final[dict[str, Any]] = {
    "service.name": "trainer", "host.name": "node-7", "process.pid": 7, "train.run.id": "run-1",
    "train.run.name": "run", "train.rank": 3, "train.local_rank": 1, "train.world_size": 8,
    "train.node.rank": 0, "train.attempt": 1, "train.emitter.id": "e" * 32, "train.role": "actor",
    "train.aliases": '{"train/loss": "loss"}',
}  # fmt: skip


def _resource(group: Any, **attributes: str | int) -> None:
    for name, value in attributes.items():
        pair = group.resource.attributes.add(key=name.replace("_", "."))
        if isinstance(value, int):
            pair.value.int_value = value
        else:
            pair.value.string_value = value


def _emitted() -> bytes:
    """Steps, heartbeat, a log line, a metric, a lifecycle: as one request of the emitter."""
    logs = [
        *(
            Log(n, 10**18 + n, "train.step", {"train.step": n, "loss": 0.5 / (n + 1), "n": n}, None, 0)
            for n in range(4)
        ),
        Log(4, 10**18, "train.heartbeat", {"phase": "train", "progress.age": 0.5, "train.step": 3}, None, 0),
        Log(5, 10**18, "train.log", {"log.file": "x"}, "CUDA out of memory", 17),
        Log(6, 10**18, "metric", {"metric.name": "m", "value": 1.5, "k": "v"}, None, 0),
        Log(7, 10**18, "train.lifecycle", {"lifecycle.state": "failed", "exit.code": 1}, None, 21),
        Log(8, 10**18, "train.resource", {"hw.id": "gpu-0", "hw.gpu.utilization": 0.9}, None, 0),
        Log(9, 10**18, "train.eval", {"train.step": 9, "loss": float("nan"), "train.epoch": 1.5}, None, 0),
    ]  # fmt: skip
    return Encoder(_RESOURCE).payload(LOGS, [encoder.log(log) for log in logs], len(logs)).body


def _spans() -> bytes:
    made = Span("checkpoint.save", 2**127, 7, 9, 10**18, 10**18 + 10**9, {"checkpoint.bytes": 1 << 40}, "no")
    return Encoder(_RESOURCE).payload(TRACES, [encoder.span(made)], 1).body


def _log(body: str) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add(schema_url="https://opentelemetry.io/schemas/1.30.0")
    _resource(group, service_name="stock", host_name="node-7")
    scope = group.scope_logs.add()
    scope.scope.name, scope.scope.version = "my.library", "1.0"
    record = scope.log_records.add(time_unix_nano=10**18, severity_number=9, severity_text="INFO", flags=1)
    record.trace_id, record.span_id = b"\xab" * 16, b"\xcd" * 8
    record.body.string_value = body
    record.attributes.add(key="list").value.array_value.values.add().int_value = 7
    nested = record.attributes.add(key="map").value.kvlist_value.values.add(key="k")
    nested.value.bytes_value = b"\x01\x02"
    return request


def _trace() -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    _resource(group, service_name="stock", train_run_id="run-2")
    span = group.scope_spans.add().spans.add(name="GET /", kind=2, start_time_unix_nano=10**18, flags=0x101)
    span.trace_id, span.span_id, span.parent_span_id = b"\x01" * 16, b"\x02" * 8, b"\x03" * 8
    span.end_time_unix_nano, span.trace_state = 10**18 + 5, "a=b"
    span.events.add(name="exception", time_unix_nano=10**18).attributes.add(key="k").value.bool_value = True
    span.links.add(trace_id=b"\x04" * 16, span_id=b"\x05" * 8)
    span.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message="no"))
    return request


def metrics() -> ExportMetricsServiceRequest:
    """One metric of each of the five kinds."""
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    _resource(group, service_name="dcgm", host_name="node-7")
    added = group.scope_metrics.add().metrics
    gauge = added.add(name="a", unit="s").gauge.data_points.add(time_unix_nano=10**18, as_double=0.5)
    gauge.attributes.add(key="gpu").value.string_value = "0"
    total = added.add(name="b").sum
    total.is_monotonic = True
    total.aggregation_temporality = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    total.data_points.add(time_unix_nano=10**18, as_int=7).exemplars.add(as_double=1.0, span_id=b"\1" * 8)
    added.add(name="c").histogram.data_points.add(
        time_unix_nano=10**18, count=2, sum=4.0, min=1.0, max=3.0, bucket_counts=[1, 1], explicit_bounds=[2.0]
    )
    wide = added.add(name="d").exponential_histogram.data_points.add(count=3, sum=6.0, scale=2, zero_count=1)
    wide.positive.bucket_counts.extend([1, 1])
    wide.negative.offset = -3
    summary = added.add(name="e").summary.data_points.add(time_unix_nano=10**18, count=5, sum=9.0)
    summary.quantile_values.add(quantile=0.99, value=8.0)
    return request


def as_json(request: Message) -> bytes:
    """As OTLP/JSON has it: ids in hex, everything else as protobuf's JSON."""

    def hexed(name: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: hexed(key, item) for key, item in value.items()}
        if isinstance(value, list):
            return [hexed(name, item) for item in value]
        ids = name in ("traceId", "spanId", "parentSpanId")
        return base64.b64decode(value).hex() if ids and isinstance(value, str) else value

    return json.dumps(hexed("", json_format.MessageToDict(request))).encode()


def _both(*requests: Message) -> list[bytes]:
    return [*(one.SerializeToString() for one in requests), *map(as_json, requests)]


SEEDS: Final[dict[str, list[bytes]]] = {
    topics.OTLP_LOGS: [_emitted(), _emitted(), beacon.beacon_request(1, "gw"), *_both(_log("disk is full"))],
    topics.OTLP_SPANS: [_spans(), *_both(_trace())],
    topics.OTLP_METRICS: _both(metrics()),
    NEIGHBOUR: [_log(NEIGHBOUR).SerializeToString()],
}
"""By topic; and the good one."""
