"""From one record of an ``otlp_*`` topic to what is inside: events by run, or a beacon."""

from __future__ import annotations

from dataclasses import dataclass, field

from emitter.vocabulary import topics
from stream.otlp import parse
from stream.otlp.beacon import beacon_of
from stream.otlp.events import RunEvents, events_from_logs, events_from_metrics, events_from_spans
from stream.records import BadRecordError, Incoming


@dataclass(frozen=True)
class Beacon:
    """A path is alive at ``time_ns``: a gateway's, else a worker's (``gateway`` is None)."""

    time_ns: int
    gateway: str | None


@dataclass(frozen=True)
class Contents:
    """Either a beacon, or events by run."""

    runs: list[RunEvents] = field(default_factory=list)
    beacon: Beacon | None = None


def decode(record: Incoming) -> Contents:
    """The contents of a record. Raises BadRecordError for bytes that are not OTLP of the topic's kind."""
    gateway = record.header(topics.HEADER_GATEWAY)
    try:
        if record.topic == topics.OTLP_LOGS:
            return _logs(record.value, gateway)
        if record.topic == topics.OTLP_SPANS:
            return Contents(events_from_spans(parse.parse_spans(record.value), gateway))
        return Contents(events_from_metrics(parse.parse_metrics(record.value), gateway))
    except parse.OtlpError as error:
        raise BadRecordError(str(error)) from None


def _logs(payload: bytes, gateway: str | None) -> Contents:
    request = parse.parse_logs(payload)
    beacon = beacon_of(request)
    if beacon is not None:
        return Contents(beacon=Beacon(*beacon))
    return Contents(events_from_logs(request, gateway))
