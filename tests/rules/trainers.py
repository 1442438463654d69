"""Ranks that train: the emitter's own sessions on clocks moved by hand, and what the engine says of them."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from emitter._ranks import identify
from emitter._records import Log, Span
from emitter._session import Session
from emitter._settings import resolve
from emitter.testing import ManualClock, MemoryExporter
from emitter.vocabulary import attributes
from emitter.vocabulary.cloudevents import parse_rfc3339
from emitter.vocabulary.diagnoses import Diagnosis
from stream import resources
from stream.diagnose.engine import Engine
from stream.events import VERSION, Batch, Event, Resource, Source, Tick, Value
from stream.rulelang import RuleSet, load_packs

RULES = load_packs([resources.path("rules")])
START_S = 1_767_225_600.0
SECOND = 1_000_000_000
PULSE_S = 1.0
"""How often a sender's thread looks whether a heartbeat is due; the real one does so four times a second."""
OWN = {attributes.SEQ, attributes.STEP, attributes.EPOCH}


class Trainer:
    """One rank. Time passes only in ``wait``; the session is the real one, its threads are ours."""

    def __init__(self, rank: int = 0, world: int = 1, *, attempt: int = 0, begin: float = 0.0) -> None:
        settings = resolve(
            {"run": "r", "run_id": "r", "rank": rank, "world_size": world, "local_rank": rank,
             "attempt_base": attempt, "hooks": False, "logs": False, "resources": False,
             "data_wait": False, "torch_memory": False},
            environ={},
        )  # fmt: skip
        self.rank, self.begin, self.now = rank, begin, begin
        self.clock, self.exporter = ManualClock(START_S + begin), MemoryExporter()
        self.session = Session(
            settings, identify(settings, environ={}), {}, {}, clock=self.clock, exporter=self.exporter,
            threads=False,
        )  # fmt: skip
        self.resource = Resource(
            "r", attempt=attempt, rank=rank, local_rank=rank, world_size=world, node=f"node-{rank}",
            role="trainer", emitter=f"{attempt}.{rank}", gateway=f"gateway-{rank}",
        )  # fmt: skip
        self.steps = 0
        self.progress = begin
        self.session.start()
        self.session.pulse()

    def wait(self, seconds: float) -> None:
        """The main thread is busy, the sender's is not."""
        left = seconds
        while left > 0:
            part = min(left, PULSE_S)
            self.clock.advance(part)
            self.session.pulse()
            left -= part
        self.now += seconds

    def step(self, seconds: float, *, data: float = 0.0) -> None:
        """A step of which some time is spent waiting for data."""
        if data:
            with self.session.phase("data"):
                self.wait(data)
        self.wait(seconds - data)
        self.session.step(self.steps, loss=1.0)
        self.steps += 1
        self.progress = self.now
        self.clock.advance(1e-5)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """A phase that the sender sees at its next look."""
        with self.session.phase(name):
            self.wait(0.2)
            yield
        self.wait(0.2)
        self.progress = self.now

    def save(self, seconds: float) -> None:
        """A checkpoint that holds the training up."""
        with self.session.checkpoint(None, "c", "regular"):
            self.wait(seconds)
        self.progress = self.now

    def pause(self, seconds: float) -> None:
        """What a pause command does to the session."""
        self.session.pausing(True)
        self.wait(seconds)
        self.session.pausing(False)
        self.wait(0.2)
        self.progress = self.now

    def events(self) -> list[Event]:
        """What was sent, as ingest decodes it, spans by their ends."""
        self.session.sender.turn()
        found = [_event(log) for log in self.exporter.received]
        found += [_span(span) for span in self.exporter.received_spans]
        return found


def _event(log: Log) -> Event:
    values: dict[str, Value] = {name: value for name, value in log.attributes.items() if name not in OWN}
    step = log.attributes.get(attributes.STEP)
    return Event(
        log.name, log.time_ns, seq=log.seq, step=step if isinstance(step, int) else None,
        severity=log.severity, body=log.body, values=values,
    )  # fmt: skip


def _span(span: Span) -> Event:
    values: dict[str, Value] = {name: value for name, value in span.attributes.items() if name not in OWN}
    values["duration"] = (span.end_ns - span.start_ns) / SECOND
    step = span.attributes.get(attributes.STEP)
    return Event(
        span.name, span.start_ns, step=step if isinstance(step, int) else None, body=span.error,
        values=values, end=span.end_ns, status="error" if span.error else "ok",
    )  # fmt: skip


class Told(NamedTuple):
    """A diagnosis and when it was told, in seconds since the beginning."""

    at: float
    made: Diagnosis

    @property
    def time(self) -> float:
        """The time it gives itself."""
        return seconds_of(self.made)


class Sent(NamedTuple):
    """An event on its way. ``read``: when it is read, in ns."""

    read: int
    rank: int
    place: int
    event: Event
    resource: Resource


def seconds_of(made: Diagnosis) -> float:
    """The event time of a transition, in seconds since the beginning."""
    return parse_rfc3339(made.time) / SECOND - START_S


Delay = Callable[[int, float], float]


def told(
    trainers: Sequence[Trainer],
    *,
    rules: RuleSet = RULES,
    delay: Delay | None = None,
    silent: Mapping[str, tuple[float, float]] | None = None,
    tick_s: float = 5.0,
    after: float = 30.0,
) -> list[Told]:
    """All transitions, in order. ``delay``: how much later a rank's record of a second is read;
    ``silent``: from when to when a gateway sends no beacons.
    """  # fmt: skip
    engine, made = Engine(rules), []
    waiting = _sent(trainers, delay)
    heapq.heapify(waiting)
    end = int((START_S + max(one.now for one in trainers) + after) * SECOND)
    now, offset = int(START_S * SECOND), 0
    while now <= end or waiting:
        while waiting and waiting[0].read <= now:
            one = heapq.heappop(waiting)
            batch = Batch(VERSION, "r", Source("t", 0, offset, offset), [one.resource], [one.event])
            made += [Told(one.read / SECOND - START_S, found) for found in engine.process(batch)]
            offset += 1
        beacons = _beacons(trainers, silent or {}, now)
        tick = Tick(VERSION, 0, offset, 1, now, beacons)
        made += [Told(now / SECOND - START_S, found) for found in engine.process(tick)]
        now += int(tick_s * SECOND)
    return made


def _sent(trainers: Sequence[Trainer], delay: Delay | None) -> list[Sent]:
    sent = []
    for trainer in trainers:
        read = 0
        for index, event in enumerate(sorted(trainer.events(), key=_order)):
            at = _when(event)
            late = 0.0 if delay is None else delay(trainer.rank, at / SECOND - START_S)
            read = max(read, at + int(late * SECOND))
            sent.append(Sent(read, trainer.rank, index, event, trainer.resource))
    return sent


def _when(event: Event) -> int:
    return event.time if event.end is None else event.end


def _order(event: Event) -> tuple[int, int]:
    return _when(event), -1 if event.seq is None else event.seq


def _beacons(
    trainers: Sequence[Trainer], silent: Mapping[str, tuple[float, float]], now: int
) -> dict[str, int]:
    at = now / SECOND - START_S
    names = [str(one.resource.gateway) for one in trainers]
    return {name: now for name in names if not _within(silent.get(name), at)}


def _within(span: tuple[float, float] | None, at: float) -> bool:
    return span is not None and span[0] <= at < span[1]
