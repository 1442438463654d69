"""Cuts an OTLP request in two: half of the records each, resource and scope in both."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

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


def halves(signal: str, body: bytes) -> tuple[tuple[bytes, int], tuple[bytes, int]] | None:
    """Two requests and how many records each holds; None for one that holds less than two."""
    shape = _SHAPES[signal]
    count = sum(len(getattr(scope, shape.records)) for _, scope in _scopes(shape, _parse(shape, body)))
    middle = count // 2
    if not middle:
        return None
    return (_cut(shape, body, 0, middle), middle), (_cut(shape, body, middle, count), count - middle)


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
