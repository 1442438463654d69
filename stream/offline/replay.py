"""The engine over recorded runs: points in, findings out, as they start to fire."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, Protocol, TypeAlias

from emitter.vocabulary.diagnoses import Diagnosis
from stream.diagnose.engine import MAX_SERIES, Engine
from stream.diagnose.transitions import FILE, LINE
from stream.diagnose.verdicts import Watch
from stream.events import VERSION, Batch, Event, Resource, Source, Tick
from stream.offline.errors import OfflineError
from stream.offline.finding import Group, is_stdin
from stream.offline.points import Point
from stream.offline.sieve import Sieve
from stream.offline.streams import Ordered
from stream.offline.timeless import LINE_NS, Skipped, without_times
from stream.offline.totals import RunTotals
from stream.rulelang.model import RuleSet

BATCH: Final = 512
TICK_NS: Final = 10_000_000_000
_SECOND_NS: Final = 1_000_000_000
_NEVER_IDLE_S: Final = 3e8


Who: TypeAlias = "tuple[int | None, int | None, str | None, str | None]"
"""Attempt, rank, role, node."""


@dataclass(frozen=True)
class Finding:
    """A transition of a diagnosis. ``timed``: its time is one of the data."""

    diagnosis: Diagnosis
    timed: bool

    def to_json(self) -> dict[str, Any]:
        """The JSON line of DESIGN 9, with what is not known as null."""
        data = self.diagnosis.to_json()
        if not self.timed:
            data["time"] = None
        return data


class Recording(Protocol):
    """Points of one run (or several) in order. ``timed``: with times; ``lines`` were read of logs so far."""

    @property
    def timed(self) -> bool:
        """Whether its times are those of a clock."""

    @property
    def lines(self) -> int:
        """How many lines of logs were read, also those that no rule could match."""

    @property
    def ended(self) -> int | None:
        """When it was last heard of, in Unix nanoseconds, where that is later than its points say."""

    def __iter__(self) -> Iterator[Point]:
        """The points; once."""


class Replay:
    """One group of files through an engine of its own. Iterate once; the totals are complete after that.

    ``on_points`` is shown points before the engine is; ``watch`` is the engine's, and with it every line
    of a log is looked at. ``recording``: read this instead of the group's files.
    """

    def __init__(
        self, group: Group, rules: RuleSet, *, run: str | None = None, experimental: bool = False,
        watch: Watch | None = None, recording: Recording | None = None,
        max_series: int = MAX_SERIES,
    ) -> None:  # fmt: skip
        self.group = group
        self.problems: list[OfflineError] = []
        sieve = Sieve(rules.rules) if watch is None else None
        self._ordered: Recording = recording or Ordered(group, self.problems.append, sieve)
        self.timed = self._ordered.timed
        self.skipped = Skipped()
        if not self.timed:
            rules, self.skipped = without_times(rules)
        self.rules = rules
        self.totals: dict[str, RunTotals] = {}
        self.on_points: Callable[[str, list[Point]], None] | None = None
        self._engine = Engine(
            rules, idle_s=_NEVER_IDLE_S, experimental=experimental, watch=watch, max_series=max_series
        )
        self._run = run
        self._batch_size = 1 if is_stdin(group) else BATCH
        self._resources: dict[tuple[str, Who], Resource] = {}
        self._attempts: dict[str, int] = {}
        self._made = 0
        self._ticked = 0
        self._clock = 0
        self._order: tuple[int, int] | None = None

    @property
    def lines(self) -> int:
        """Lines of logs read so far, also those that no rule could match."""
        return self._ordered.lines

    def __iter__(self) -> Iterator[Finding]:
        for run, points in self._stretches(self._ordered):
            for made in self._before(run, points[0]) + self._process(run, points):
                yield Finding(made, self.timed)
        if self._ordered.ended is not None:
            for made in self._tick(self._ordered.ended):
                yield Finding(made, self.timed)
        for made in self._engine.drain():
            yield Finding(made, self.timed)

    def _stretches(self, points: Iterable[Point]) -> Iterator[tuple[str, list[Point]]]:
        """Points of one run that follow each other, at most a batch of them."""
        batch: list[Point] = []
        run, attempt = "", 0
        size, fixed, usual = self._batch_size, self._run, self.group.run
        for point in points:
            name, newest = fixed or point.run or usual, point.attempt or 0
            if batch and (name != run or newest > attempt or len(batch) >= size):
                yield run, batch
                batch = []
            run, attempt = name, newest
            batch.append(point)
        if batch:
            yield run, batch

    def _before(self, run: str, point: Point) -> list[Diagnosis]:
        """What waits for other ranks is judged before a new attempt, in which nothing of it counts."""
        attempt = point.attempt or 0
        newer = attempt > self._attempts.get(run, attempt)
        self._attempts[run] = max(attempt, self._attempts.get(run, attempt))
        return self._engine.drain() if newer else []

    def _process(self, run: str, points: list[Point]) -> list[Diagnosis]:
        totals = self.totals.get(run)
        if totals is None:
            totals = self.totals[run] = RunTotals(run)
        if self.on_points is not None:
            self.on_points(run, points)
        totals.add(points)
        used: dict[Who, int] = {}
        events = [self._event(point, used.setdefault(_who(point), len(used))) for point in points]
        resources = [self._resource(run, who) for who in used]
        self._made += 1
        source = Source("recorded", 0, self._made, self._made)
        made = self._engine.process(Batch(VERSION, run, source, resources, events))
        return made + self._tick(events[-1].time)

    def _tick(self, time: int) -> list[Diagnosis]:
        """Clocks move with the data, where that has times."""
        if not self.timed or time - self._ticked < TICK_NS:
            return []
        self._ticked = time
        return self._engine.process(Tick(VERSION, 0, self._made, 1, time))

    def _resource(self, run: str, who: Who) -> Resource:
        resource = self._resources.get((run, who))
        if resource is None:
            attempt, rank, role, node = who
            resource = self._resources[run, who] = Resource(
                run=run, attempt=attempt or 0, rank=rank, role=role, node=node
            )
        return resource

    def _event(self, point: Point, index: int) -> Event:
        values = point.values
        if point.line:
            values[FILE] = point.file
            values[LINE] = point.line
        time = point.time if self.timed and point.time is not None else self._next_time(point)
        return Event(
            point.name, time, index, None, point.step, point.epoch, point.severity, point.body, values,
            end=point.end, status=point.status, metric=point.metric,
        )  # fmt: skip

    def _next_time(self, point: Point) -> int:
        """Without times: a second for each step, a little for each point of it."""
        if point.order != self._order:
            self._order = point.order
            self._clock += _SECOND_NS - self._clock % _SECOND_NS
        else:
            self._clock += LINE_NS
        return self._clock


_who: Final[Callable[[Point], Who]] = attrgetter("attempt", "rank", "role", "node")
