"""OTLP's file format: one export request a line, as endpoint file:FOLDER and Collectors write it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from stream.events import Event, Resource
from stream.offline.opening import Opened, readable
from stream.offline.points import Notes, Point, Points
from stream.otlp import jsoncodec
from stream.otlp.events import RunEvents, events_from_logs, events_from_metrics, events_from_spans
from stream.otlp.parse import OtlpError

MAX_LINE: Final = 64 * 1024**2
_BEGINS: Final = re.compile(r'\s*\{\s*"resource(?:Logs|Spans|Metrics)"\s*:')
_LOGS, _SPANS, _METRICS = b'"resourceLogs"', b'"resourceSpans"', b'"resourceMetrics"'
_HEAD: Final = 200


def begins(text: str) -> bool:
    """Whether a file that begins like this is one of these."""
    return _BEGINS.match(text) is not None


def read(source: Opened, notes: Notes) -> Points:
    """A point for each record, span or data point; a line that is no request is counted and skipped.

    Raises ReadError.
    """
    number = 0
    while line := _line(source):
        number += 1
        if not line.strip():
            continue
        try:
            for group in _events(line):
                for event in group.events:
                    yield _point(event, group.resources[event.resource], number)
        except OtlpError as error:
            cut = "" if line.endswith(b"\n") else " (the line has no end: its writer was stopped)"
            notes.skip(number, f"{error}{cut}")


def _line(source: Opened) -> bytes:
    with readable(source.name, ""):
        return source.stream.readline(MAX_LINE)


def _events(line: bytes) -> Iterator[RunEvents]:
    head = line[:_HEAD]
    if _LOGS in head:
        yield from events_from_logs(jsoncodec.logs_from_json(line))
    elif _SPANS in head:
        yield from events_from_spans(jsoncodec.spans_from_json(line))
    elif _METRICS in head:
        yield from events_from_metrics(jsoncodec.metrics_from_json(line))
    else:
        raise OtlpError("expected resourceLogs, resourceSpans or resourceMetrics, got something else")


def _point(event: Event, resource: Resource, line: int) -> Point:
    return Point(
        name=event.name, values=dict(event.values), step=event.step, epoch=event.epoch,
        time=event.time or None, end=event.end, rank=resource.rank, run=resource.run or None,
        attempt=resource.attempt, role=resource.role, node=resource.node, body=event.body,
        severity=event.severity, line=line, status=event.status, metric=event.metric,
    )  # fmt: skip
