"""Reports: what the partitions tell the arbiter, as it travels on ``remediation.intents``.

That topic is the one log of remediation. A report holds everything a decision may depend on, also the time
at which it was written, so that the arbiter is a function of the log alone.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from emitter.vocabulary import cloudevents, topics
from stream.records import Incoming, Outgoing
from stream.remediate.facts import Fact
from stream.remediate.plan import Plan
from stream.remediate.settings import Settings

REPORT: Final = "io.trainwarden.report.v1"
"""Private to the workers of one deployment; others skip it."""
_MARK: Final = f'"type":"{REPORT}"'.encode()


class Source(msgspec.Struct, frozen=True):
    """The Kafka record a report was made of; by it the arbiter knows repeated ones."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int = 0


class Word(msgspec.Struct, frozen=True):
    """A message of ``remediation.control``: signed by ``key``, or ``refused`` for that reason."""

    id: str
    data: dict[str, Any]
    key: str | None = None
    refused: str | None = None


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """One report; besides ``source`` and times it has one of the others.

    ``clock_ns``: the clock of the partition, None while it is not known. ``written_ns``: the wall clock of
    the worker that wrote it. ``batch``: the record of an ``otlp_*`` topic that the facts come from.
    """

    source: Source | None
    written_ns: int
    clock_ns: int | None = None
    run: str = ""
    diagnosis: dict[str, Any] | None = None
    plan: Plan | None = None
    ack: dict[str, Any] | None = None
    facts: tuple[Fact, ...] = ()
    batch: tuple[str, int, int] | None = None
    word: Word | None = None
    policy: Settings | None = None


class ReportError(ValueError):
    """The bytes are a report that this version cannot read; the message says why."""


def source_of(record: Incoming) -> Source:
    """Where this record came from."""
    return Source(record.topic, record.partition, record.offset, record.timestamp_ms)


def encode(report: Report) -> Outgoing:
    """The record of ``remediation.intents``."""
    source = report.source
    identity = (
        f"{source.topic}/{source.partition}/{source.offset}" if source else f"worker/{report.written_ns}"
    )
    time = cloudevents.rfc3339(report.written_ns)
    value = cloudevents.encode(REPORT, identity, report.run, time, msgspec.to_builtins(report))
    return Outgoing(topics.REMEDIATION_INTENTS, value, partition=0, headers=cloudevents.HEADERS)


def decode(payload: bytes) -> Report | None:
    """The report in a record; None for what else is on the topic. Raises ReportError."""
    if _MARK not in payload:
        return None
    try:
        return msgspec.convert(cloudevents.decode(payload, REPORT), Report)
    except (cloudevents.CloudEventError, msgspec.ValidationError) as error:
        raise ReportError(f"report: {error}") from None
