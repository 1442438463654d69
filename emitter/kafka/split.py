"""Cuts OTLP requests that are too large for a Kafka message: in two, and again, down to single records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class _Shape(NamedTuple):
    request: type[Message]
    resources: str
    scopes: str
    records: str


_SHAPES: Final = {
    "logs": _Shape(ExportLogsServiceRequest, "resource_logs", "scope_logs", "log_records"),
    "traces": _Shape(ExportTraceServiceRequest, "resource_spans", "scope_spans", "spans"),
    "metrics": _Shape(ExportMetricsServiceRequest, "resource_metrics", "scope_metrics", "metrics"),
}


TOO_LARGE: Final = (MessageSizeTooLargeError, RecordListTooLargeError)


class Refused(NamedTuple):
    """Records that fit in no message, and the size of the largest in bytes."""

    records: int = 0
    largest: int = 0


def write_in_parts(signal: str, body: bytes, limit: int, write: Callable[[bytes], None]) -> Refused:
    """Write a request, or as many parts of it as the limit and the topic's own limit ask for."""
    if len(body) <= limit:
        try:
            write(body)
            return Refused()
        except TOO_LARGE:
            pass
    parts = halves(signal, body)
    if parts is None:
        return Refused(1, len(body))
    each = [write_in_parts(signal, part, limit, write) for part in parts]
    return Refused(sum(one.records for one in each), max(one.largest for one in each))


def halves(signal: str, body: bytes) -> tuple[bytes, bytes] | None:
    """Two requests with half of the records each; None for one that holds less than two."""
    shape = _SHAPES[signal]
    count = sum(len(getattr(scope, shape.records)) for _, scope in _scopes(shape, _parse(shape, body)))
    middle = count // 2
    if not middle:
        return None
    return _cut(shape, body, 0, middle), _cut(shape, body, middle, count)


def _parse(shape: _Shape, body: bytes) -> Any:
    return shape.request.FromString(body)


def _scopes(shape: _Shape, request: Any) -> list[tuple[Any, Any]]:
    resources = getattr(request, shape.resources)
    return [(resource, scope) for resource in resources for scope in getattr(resource, shape.scopes)]


def _cut(shape: _Shape, body: bytes, start: int, stop: int) -> bytes:
    """The request with the records from start to stop only, without the groups that they leave empty."""
    request, at = _parse(shape, body), 0
    for _, scope in _scopes(shape, request):
        records = getattr(scope, shape.records)
        length = len(records)
        first, last = max(0, min(start - at, length)), max(0, min(stop - at, length))
        del records[last:]
        del records[:first]
        at += length
    for resource in getattr(request, shape.resources):
        _drop_empty(getattr(resource, shape.scopes), shape.records)
    _drop_empty(getattr(request, shape.resources), shape.scopes)
    return bytes(request.SerializeToString())


def _drop_empty(groups: Any, members: str) -> None:
    for number in reversed(range(len(groups))):
        if not getattr(groups[number], members):
            del groups[number]
