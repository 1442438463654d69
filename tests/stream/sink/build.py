"""OTLP requests and Kafka records for the tests of the sink."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from emitter.vocabulary import topics
from stream.sink.collect import collect
from stream.sink.recent import Recent
from stream.sink.records import Record
from stream.sink.rows import Rows

T0 = 1_790_000_000_000_000_000
"""A time (ns) in September 2026."""
RESOURCE = {
    "train.run.id": "run-1", "train.run.name": "gpt", "train.attempt": 2, "train.rank": 3,
    "train.world_size": 8, "train.emitter.id": "e3", "train.role": "trainer", "host.name": "node-a",
    "service.name": "trainer",
}  # fmt: skip


def put(target: Any, values: Mapping[str, object]) -> None:
    """Append attributes to a repeated KeyValue field."""
    for key, value in values.items():
        pair: KeyValue = target.add(key=key)
        if isinstance(value, bool):
            pair.value.bool_value = value
        elif isinstance(value, int):
            pair.value.int_value = value
        elif isinstance(value, float):
            pair.value.double_value = value
        elif value is not None:
            pair.value.string_value = str(value)


def logs(*records: Mapping[str, Any], resource: Mapping[str, object] = RESOURCE) -> bytes:
    """A request: each record is ``event``, ``time``, ``body``, ``attributes``, other LogRecord fields."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    put(group.resource.attributes, resource)
    scope = group.scope_logs.add()
    for given in records:
        fields = dict(given)
        attributes, body = fields.pop("attributes", {}), fields.pop("body", None)
        log = scope.log_records.add(
            event_name=fields.pop("event", ""), time_unix_nano=fields.pop("time", T0), **fields
        )
        put(log.attributes, attributes)
        if body is not None:
            log.body.string_value = body
    return request.SerializeToString()


def spans(*given: Span, resource: Mapping[str, object] = RESOURCE) -> bytes:
    """A request of these spans."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    put(group.resource.attributes, resource)
    scope = group.scope_spans.add()
    scope.scope.name, scope.scope.version = "emitter", "1"
    scope.spans.extend(given)
    return request.SerializeToString()


def points(*given: Metric, resource: Mapping[str, object] = RESOURCE) -> bytes:
    """A request of these metrics."""
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    put(group.resource.attributes, resource)
    scope = group.scope_metrics.add()
    scope.scope.name = "meter"
    scope.metrics.extend(given)
    return request.SerializeToString()


def step(seq: int, values: Mapping[str, object] | None = None, time: int = T0) -> dict[str, Any]:
    """A train.step record with these values, else a loss; its step is its sequence number."""
    values = {"loss": 1.0} if values is None else values
    return {
        "event": "train.step",
        "time": time,
        "attributes": {"train.seq": seq, "train.step": seq, **values},
    }


def record(value: bytes, topic: str = topics.OTLP_LOGS, offset: int = 7, time: int = T0) -> Record:
    """A Kafka record on partition 1."""
    return Record(topic, 1, offset, time, value)


def rows_of(*records: Record) -> Rows:
    """The rows of one batch, with an empty memory."""
    return collect(records, Recent())


def listed(table: pa.Table) -> list[dict[str, Any]]:
    """The rows as dicts, times as integers of nanoseconds."""
    columns = {
        name: (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist()
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
