"""One line of OTLP in JSON as events: a request for logs, spans or metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from stream.otlp import jsoncodec
from stream.otlp.events import RunEvents, events_from_logs, events_from_metrics, events_from_spans
from stream.otlp.parse import OtlpError

__all__ = ["OtlpError", "runs_of"]

_LOGS, _SPANS, _METRICS = b'"resourceLogs"', b'"resourceSpans"', b'"resourceMetrics"'
_HEAD: Final = 200


def runs_of(line: bytes) -> Iterator[RunEvents]:
    """The events in a line, by run. Raises OtlpError."""
    head = line[:_HEAD]
    if _LOGS in head:
        yield from events_from_logs(jsoncodec.logs_from_json(line))
    elif _SPANS in head:
        yield from events_from_spans(jsoncodec.spans_from_json(line))
    elif _METRICS in head:
        yield from events_from_metrics(jsoncodec.metrics_from_json(line))
    else:
        raise OtlpError("expected resourceLogs, resourceSpans or resourceMetrics, got something else")
