"""OTLP's file format: one export request a line, as endpoint file:FOLDER and Collectors write it."""

from __future__ import annotations

import re
from typing import Final

from stream.events import Event, Resource
from stream.offline.opening import Opened, readable
from stream.offline.points import Notes, Point, Points

MAX_LINE: Final = 64 * 1024**2
_BEGINS: Final = re.compile(r'\s*\{\s*"resource(?:Logs|Spans|Metrics)"\s*:')


def begins(text: str) -> bool:
    """Whether a file that begins like this is one of these."""
    return _BEGINS.match(text) is not None


def read(source: Opened, notes: Notes) -> Points:
    """A point for each record, span or data point; a line that is no request is counted and skipped.

    Raises ReadError.
    """
    # Protobuf takes a while to load, and most recorded data does without.
    from stream.offline.otlplines import OtlpError, runs_of

    number = 0
    while line := _line(source):
        number += 1
        if not line.strip():
            continue
        try:
            for group in runs_of(line):
                for event in group.events:
                    yield _point(event, group.resources[event.resource], number)
        except OtlpError as error:
            cut = "" if line.endswith(b"\n") else " (the line has no end: its writer was stopped)"
            notes.skip(number, f"{error}{cut}")


def _line(source: Opened) -> bytes:
    with readable(source.name, ""):
        return source.stream.readline(MAX_LINE)


def _point(event: Event, resource: Resource, line: int) -> Point:
    return Point(
        name=event.name, values=dict(event.values), step=event.step, epoch=event.epoch,
        time=event.time or None, end=event.end, rank=resource.rank, run=resource.run or None,
        attempt=resource.attempt, role=resource.role, node=resource.node, body=event.body,
        severity=event.severity, line=line, status=event.status, metric=event.metric,
    )  # fmt: skip
