"""What a sample sends, as the messages of a live run: batches of each rank, and ticks of the clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Final

from msgspec.structs import replace

from emitter.vocabulary import events as words
from emitter.vocabulary.attributes import PHASE
from stream.events import VERSION, Batch, Event, Resource, Source, Tick
from stream.rulelang.model import Rule, Sample, SampleRank

RUN: Final = "sample"
NODE: Final = "node-0"
SECOND_NS: Final = 1_000_000_000
Slots = Mapping[tuple[str, str], Any]


@dataclass(order=True)
class _Sent:
    """One event to send, in the order in which events of one time are sent: those of ``with`` first."""

    time: int
    own: bool
    rank: int
    index: int
    event: Event = field(compare=False)
    resource: Resource = field(compare=False)


def messages(rule: Rule, sample: Sample) -> Iterator[Batch | Tick]:
    """One batch for each event, and a tick at each step's time, so that clocks move as in a live run."""
    every_ns = round(sample.every_s * SECOND_NS)
    sent = sorted([*_of_ranks(rule, sample, every_ns), *_of_events(rule, sample)])
    end = max([one.time for one in sent] + [round(sample.until_s * SECOND_NS), _length(sample) * every_ns])
    counts: dict[str, int] = {}
    place = 0
    for tick, now in enumerate(range(0, end + every_ns, every_ns)):
        while place < len(sent) and sent[place].time <= now:
            yield _batch(sent[place], place, counts)
            place += 1
        if now > end:
            break
        yield Tick(VERSION, 0, tick, 1, now)
    if rule.log is not None:
        # Log rules end by the clock: it goes on until the last of them has been quiet for long enough.
        yield Tick(VERSION, 0, 1 << 40, 1, end + round(rule.keep_firing_s * SECOND_NS) + every_ns)


def _length(sample: Sample) -> int:
    """The number of the last step or line; trailing ``_`` count."""
    held = [values for rank in sample.ranks for named in rank.series.values() for values in named.values()]
    sizes = [len(values) for values in held if not isinstance(values, str)]
    return max([1, *sizes, *(len(rank.lines) for rank in sample.ranks)]) - 1


def _batch(one: _Sent, offset: int, counts: dict[str, int]) -> Batch:
    event = one.event
    if event.name in words.LOG_EVENTS:
        emitter = str(one.resource.emitter)
        event = replace(event, seq=counts.get(emitter, 0))
        counts[emitter] = counts.get(emitter, 0) + 1
    return Batch(VERSION, RUN, Source("sample", 0, offset, offset), [one.resource], [event])


def _resource(sample: Sample, rank: int, node: str | None, role: str | None, attempt: int = 0) -> Resource:
    world = len({one.rank for one in sample.ranks} | {one.rank for one in sample.events})
    return Resource(
        RUN, run_name=RUN, attempt=attempt, rank=rank, local_rank=rank, world_size=world, node=node or NODE,
        role=role, emitter=f"{attempt}.{rank}",
    )  # fmt: skip


def _of_ranks(rule: Rule, sample: Sample, every_ns: int) -> Iterator[_Sent]:
    for rank in sample.ranks:
        resource = _resource(sample, rank.rank, rank.node, rank.role)
        for index, line in enumerate(rank.lines):
            event = Event(words.LOG, index * every_ns, body=line)
            yield _Sent(event.time, _owner(rule) == words.LOG, rank.rank, index, event, resource)
        reached = _reached(rank)
        for name, fields in rank.series.items():
            for index, event in _steps(name, fields, every_ns):
                own = _owner(rule) == name
                if name == words.HEARTBEAT and reached:
                    event = replace(event, step=reached.get(index, reached[len(reached) - 1]))
                yield _Sent(event.time, own, rank.rank, index, event, resource)


def _owner(rule: Rule) -> str:
    return rule.on if rule.absent is None else rule.absent.of


def _reached(rank: SampleRank) -> dict[int, int | None]:
    """The step that a heartbeat before each index speaks of; empty for a rank without steps."""
    series = [values for values in rank.series.get(words.STEP, {}).values() if not isinstance(values, str)]
    reached: dict[int, int | None] = {}
    step: int | None = None
    for index, values in enumerate(zip_longest(*series)):
        reached[index] = step
        step = index if any(value is not None for value in values) else step
    if reached:
        reached[len(reached)] = step
    return reached


def _steps(name: str, fields: Slots, every_ns: int) -> Iterator[tuple[int, Event]]:
    """An event for each index at which a series has a value; bare texts hold at all of them."""
    always = {slot: values for slot, values in fields.items() if isinstance(values, str)}
    series = {slot: values for slot, values in fields.items() if not isinstance(values, str)}
    for index in range(max((len(values) for values in series.values()), default=0)):
        here = {slot: values[index] for slot, values in series.items() if index < len(values)}
        here = {slot: value for slot, value in here.items() if value is not None}
        if here:
            yield index, _event(name, index * every_ns, index, {**always, **here})


def _of_events(rule: Rule, sample: Sample) -> Iterator[_Sent]:
    where = {rank.rank: rank for rank in sample.ranks}
    for index, one in enumerate(sample.events):
        like = where.get(one.rank, SampleRank(one.rank))
        resource = _resource(sample, one.rank, one.node or like.node, one.role or like.role, one.attempt)
        time = round(one.at_s * SECOND_NS)
        event = _event(one.event, time, one.step, one.values)
        yield _Sent(time, _owner(rule) == one.event, one.rank, index, event, resource)


def _event(name: str, time: int, step: int | None, slots: Slots) -> Event:
    """An event of these slots; a bare event is a beat in the phase of training."""
    values = {own: value for (place, own), value in slots.items() if place == "value"}
    if name == words.HEARTBEAT:
        values.setdefault(PHASE, "train")
    own: dict[str, Any] = {one: value for (place, one), value in slots.items() if place == "event"}
    whole = {one: int(own.pop(one)) for one in ("step", "severity") if one in own}
    step = whole.get("step", step)
    start = time
    if name in words.SPANS:
        start = time - round(values.setdefault("duration", 0.0) * SECOND_NS)
        own = {"status": "ok", **own, "end": time}
    return Event(name, start, step=step, severity=whole.get("severity", 0), values=values, **own)
