"""Batches from plain records, for offline use and tests: no OTLP, no services."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from emitter.vocabulary import events as words
from emitter.vocabulary.metrics import canonical_values
from stream.events import VERSION, Batch, Event, Resource, Source

SOURCE: Final = "records"
SECOND_NS: Final = 1_000_000_000
DEFAULT_SIZE: Final = 100

_OURS: Final = ("step", "time", "rank", "epoch", "seq", "event", "body", "severity")


def event_of(record: Mapping[str, Any], resource: int = 0) -> Event:
    """An event from a flat record.

    ``event`` is its name (train.step where missing), ``time`` Unix seconds (the step, or 0, where
    missing), ``step``, ``epoch``, ``seq``, ``body`` and ``severity`` are the event's own, ``rank`` is left
    to the resource, everything else is a value under its canonical name.
    """
    step = record.get("step")
    seconds = record.get("time", step if step is not None else 0)
    values = canonical_values({key: value for key, value in record.items() if key not in _OURS})
    return Event(
        name=record.get("event", words.STEP),
        time=int(float(seconds) * SECOND_NS),
        resource=resource,
        seq=record.get("seq"),
        step=step,
        epoch=record.get("epoch"),
        severity=record.get("severity", 0),
        body=record.get("body"),
        values=values,  # type: ignore[arg-type]
    )


def batches(
    records: Iterable[Mapping[str, Any]], *, run: str, attempt: int = 0, role: str | None = None,
    size: int = DEFAULT_SIZE,
) -> list[Batch]:  # fmt: skip
    """Batches of at most ``size`` records in their order, one resource for each ``rank``."""
    found: list[Batch] = []
    ranks: dict[int | None, Resource] = {}
    events: list[Event] = []

    def flush() -> None:
        if events:
            source = Source(SOURCE, 0, len(found), len(found))
            found.append(Batch(VERSION, run, source, list(ranks.values()), list(events)))
            events.clear()
            ranks.clear()

    for record in records:
        rank = record.get("rank")
        if rank not in ranks:
            ranks[rank] = Resource(run=run, attempt=attempt, rank=rank, role=role)
        events.append(event_of(record, list(ranks).index(rank)))
        if len(events) >= size:
            flush()
    flush()
    return found
