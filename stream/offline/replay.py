"""The engine over recorded runs: points in, findings out, as they start to fire."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from emitter.vocabulary import events
from emitter.vocabulary.diagnoses import Diagnosis
from stream.diagnose.engine import Engine
from stream.diagnose.transitions import FILE, LINE
from stream.events import VERSION, Batch, Event, Resource, Source, Tick
from stream.offline.asleep import Seen
from stream.offline.errors import OfflineError
from stream.offline.finding import Group, is_stdin
from stream.offline.points import Point
from stream.offline.streams import Ordered, Placed
from stream.offline.timeless import LINE_NS, Skipped, without_times
from stream.rulelang.model import RuleSet

BATCH: Final = 256
TICK_NS: Final = 10_000_000_000
_SECOND_NS: Final = 1_000_000_000
_NEVER_IDLE_S: Final = 3e8


@dataclass
class RunTotals:
    """What one run of a group held."""

    run: str
    steps: int = 0
    lines: int = 0
    evals: int = 0
    others: int = 0
    ranks: set[int | None] = field(default_factory=set)
    attempts: int = 1
    first_step: int | None = None
    last_step: int | None = None


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


class Replay:
    """One group of files through an engine of its own. Iterate once; the totals are complete after that."""

    def __init__(
        self, group: Group, rules: RuleSet, *, run: str | None = None, experimental: bool = False
    ) -> None:
        self.group = group
        self.problems: list[OfflineError] = []
        self._ordered = Ordered(group, self.problems.append)
        self.timed = self._ordered.timed
        self.skipped = Skipped()
        if not self.timed:
            rules, self.skipped = without_times(rules)
        self.rules = rules
        self.seen = Seen()
        self.totals: dict[str, RunTotals] = {}
        self._engine = Engine(rules, idle_s=_NEVER_IDLE_S, experimental=experimental)
        self._run = run
        self._batch_size = 1 if is_stdin(group) else BATCH
        self._resources: dict[tuple[Any, ...], Resource] = {}
        self.on_point: Callable[[str, Point], None] | None = None
        self._made = 0
        self._ticked = 0
        self._clock = 0
        self._order: tuple[int, int] | None = None

    def __iter__(self) -> Iterator[Finding]:
        for points in _runs_of(self._ordered, self._batch_size, self._run_of):
            yield from self._findings(self._process(points))
        if drain := getattr(self._engine, "drain", None):
            yield from self._findings(drain())

    def _findings(self, made: Iterable[Diagnosis]) -> Iterator[Finding]:
        for one in made:
            yield Finding(one, self.timed)

    def _run_of(self, placed: Placed) -> str:
        return self._run or placed.point.run or self.group.run

    def _process(self, points: list[Placed]) -> list[Diagnosis]:
        run = self._run_of(points[0])
        resources: dict[int, int] = {}
        used: list[Resource] = []
        batch: list[Event] = []
        for placed in points:
            resource = self._resource(run, placed)
            index = resources.setdefault(id(resource), len(used))
            if index == len(used):
                used.append(resource)
            batch.append(self._event(run, placed, index))
        self._made += 1
        made = self._engine.process(
            Batch(VERSION, run, Source("recorded", 0, self._made, self._made), used, batch)
        )
        if self.timed and batch[-1].time - self._ticked >= TICK_NS:
            self._ticked = batch[-1].time
            made += self._engine.process(Tick(VERSION, 0, self._made, 1, self._ticked))
        return made

    def _resource(self, run: str, placed: Placed) -> Resource:
        point = placed.point
        key = (run, placed.attempt, point.rank, point.role, point.node)
        resource = self._resources.get(key)
        if resource is None:
            resource = self._resources[key] = Resource(
                run=run, attempt=placed.attempt, rank=point.rank, role=point.role, node=point.node
            )
        return resource

    def _event(self, run: str, placed: Placed, index: int) -> Event:
        point = placed.point
        values = point.values
        self._count(run, placed)
        if point.line and point.body is not None:
            values = {**values, FILE: placed.file, LINE: point.line}
        time = point.time if self.timed and point.time is not None else self._next_time(placed)
        return Event(
            point.name, time, index, None, point.step, point.epoch, point.severity, point.body, values
        )

    def _next_time(self, placed: Placed) -> int:
        """Without times: a second for each step, a little for each point of it."""
        if placed.order != self._order:
            self._order = placed.order
            self._clock += _SECOND_NS - self._clock % _SECOND_NS
        else:
            self._clock += LINE_NS
        return self._clock

    def _count(self, run: str, placed: Placed) -> None:
        point = placed.point
        totals = self.totals.get(run)
        if totals is None:
            totals = self.totals[run] = RunTotals(run)
        if self.on_point is not None:
            self.on_point(run, point)
        self.seen.see(point.name, point.values, point.step is not None)
        totals.ranks.add(point.rank)
        totals.attempts = max(totals.attempts, placed.attempt + 1)
        if point.name == events.STEP:
            totals.steps += 1
            if point.step is not None:
                totals.first_step = point.step if totals.first_step is None else totals.first_step
                totals.last_step = point.step
        elif point.name == events.LOG:
            totals.lines += 1
        elif point.name == events.EVAL:
            totals.evals += 1
        else:
            totals.others += 1


def _runs_of(points: Iterable[Placed], size: int, run_of: Callable[[Placed], str]) -> Iterator[list[Placed]]:
    """Stretches of points of one run, at most ``size`` long."""
    batch: list[Placed] = []
    run: str | None = None
    for placed in points:
        name = run_of(placed)
        if batch and (name != run or len(batch) >= size):
            yield batch
            batch = []
        run = name
        batch.append(placed)
    if batch:
        yield batch
