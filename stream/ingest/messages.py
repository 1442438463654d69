"""From the contents of a record to the messages of ``train.events``: one batch a run, or ticks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from emitter.vocabulary import events as vocabulary
from emitter.vocabulary import topics
from emitter.vocabulary.gpu_metrics import TORCH_DEVICE
from emitter.vocabulary.topics import MAX_MESSAGE_BYTES
from stream import events
from stream.ingest import placing
from stream.ingest.decode import Beacon, Contents, decode
from stream.ingest.placing import NOWHERE, Hosts
from stream.otlp.events import RunEvents
from stream.records import Incoming, Outgoing, OversizedError, Ticks

KIND_EVENTS: Final = "events"
KIND_TICK: Final = "tick"
KIND_GPU: Final = "gpu"
"""Says which GPUs a rank computes on."""
_KIND_OF: Final = {
    vocabulary.LIFECYCLE: "lifecycle",
    vocabulary.CHECKPOINT_STARTED: "checkpoint",
    **dict.fromkeys(vocabulary.SPANS, "checkpoint"),
}
OUR_SERVICES: Final = "trainwarden-"
_OVERHEAD_BYTES: Final = 4096
"""Room in a message for key, headers and the record's own frame."""


@dataclass
class Counts:
    """Events that went to runs, each as often as it went to one; and those that name no run."""

    events: int = 0
    without_run: int = 0


def ingest(
    record: Incoming, partitions: int, hosts: Hosts = NOWHERE, counts: Counts | None = None
) -> list[Outgoing]:
    """What one OTLP record becomes on ``train.events``: a batch for each run, or ``Ticks``.

    Events without a run go to the runs on the node that sent them, else to no rule; history reads them from
    the OTLP topics. Raises BadRecordError.
    """
    contents = decode(record)
    if contents.beacon is not None:
        return _ticks(record, contents.beacon, partitions)
    groups = _by_run(contents, hosts)
    made = [_batch(record, group) for group in groups]
    if counts is not None:
        counts.events += sum(len(group.events) for group in groups)
        counts.without_run += sum(map(_foreign, contents.runs))
    return made


def _foreign(group: RunEvents) -> int:
    """How many events name no run; metrics of our own processes never do."""
    if group.run:
        return 0
    ours = {n for n, one in enumerate(group.resources) if (one.service or "").startswith(OUR_SERVICES)}
    return sum(event.resource not in ours for event in group.events)


def _by_run(contents: Contents, hosts: Hosts) -> list[RunEvents]:
    """One group for each run: a reader takes one batch of a run from one record."""
    found = {group.run: group for group in contents.runs if group.run}
    for group in contents.runs:
        if not group.run and hosts:
            for copy in placing.copies(group, hosts):
                own = found.get(copy.run)
                found[copy.run] = copy if own is None else placing.joined(own, copy)
    return list(found.values())


def _batch(record: Incoming, group: RunEvents) -> Outgoing:
    source = events.Source(record.topic, record.partition, record.offset, record.offset)
    batch = events.Batch(events.VERSION, group.run, source, group.resources, group.events)
    value = events.encode(batch)
    if len(value) > MAX_MESSAGE_BYTES - _OVERHEAD_BYTES:
        raise OversizedError(
            f"run {group.run}: expected {len(group.events)} events to fit into {MAX_MESSAGE_BYTES} bytes, "
            f"they take {len(value)}; send smaller requests"
        )
    return Outgoing(topics.TRAIN_EVENTS, value, group.run.encode(), headers=_kinds(kinds(group)))


def kinds(group: RunEvents) -> list[str]:
    """What is inside, so that a reader can skip the batch without decoding it."""
    found = {KIND_EVENTS} | {_KIND_OF[e.name] for e in group.events if e.name in _KIND_OF}
    if any(TORCH_DEVICE in e.values for e in group.events):
        found.add(KIND_GPU)
    return sorted(found)


def _ticks(record: Incoming, beacon: Beacon, partitions: int) -> Ticks:
    gateways = {beacon.gateway: beacon.time_ns} if beacon.gateway is not None else {}
    tick = events.Tick(
        events.VERSION,
        record.partition,
        record.offset,
        sources=partitions,
        time=beacon.time_ns,
        gateways=gateways,
    )
    value = events.encode(tick)
    return Ticks(
        Outgoing(topics.TRAIN_EVENTS, value, partition=partition, headers=_kinds([KIND_TICK]))
        for partition in range(partitions)
    )


def _kinds(names: list[str]) -> list[tuple[str, bytes]]:
    return [(topics.HEADER_KINDS, ",".join(names).encode())]
