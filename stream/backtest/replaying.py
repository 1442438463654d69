"""Recorded runs through the engine, keeping what a score needs: what fired where, and how long it all was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from emitter.vocabulary import events
from emitter.vocabulary.cloudevents import parse_rfc3339
from emitter.vocabulary.diagnoses import FIRING, INFO
from stream.offline.errors import OfflineError
from stream.offline.finding import Group, find
from stream.offline.points import Point
from stream.offline.replay import Finding, Replay
from stream.rulelang.model import RuleSet

_NUMBERS: Final = (events.STEP, events.EVAL)
_DAY_NS: Final = 86_400 * 10**9


@dataclass(frozen=True)
class Firing:
    """A diagnosis as it started to fire. ``time_ns`` is None where the data has no times."""

    rule: str
    category: str
    severity: str
    step: int | None
    rank: int | None
    line: int | None
    time_ns: int | None
    summary: str

    @property
    def loud(self) -> bool:
        """Whether it is an alarm: a warning or worse."""
        return self.severity != INFO


@dataclass
class Recorded:
    """One run: its firings, the time of each logged step, its length, and what could not be judged."""

    run: str
    timed: bool = False
    firings: list[Firing] = field(default_factory=list)
    steps: dict[int, int | None] = field(default_factory=dict)
    points: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    left_out: str = ""

    @property
    def days(self) -> float:
        """How long it ran, 0 where the data has no times."""
        if not self.timed or self.first_ns is None or self.last_ns is None:
            return 0.0
        return (self.last_ns - self.first_ns) / _DAY_NS

    def see(self, point: Point) -> None:
        """Count a point."""
        self.points += 1
        if point.time is not None:
            self.first_ns = point.time if self.first_ns is None else min(self.first_ns, point.time)
            self.last_ns = point.time if self.last_ns is None else max(self.last_ns, point.time)
        if point.step is not None and point.name in _NUMBERS:
            self.steps.setdefault(point.step, point.time)


def groups_of(paths: Iterable[Path], problems: list[OfflineError]) -> list[Group]:
    """The runs in these files and folders; what cannot be read is in ``problems``."""
    return find(paths, None, problems)


def replay(
    groups: Iterable[Group], rules: RuleSet, problems: list[OfflineError], *, experimental: bool = False
) -> Iterator[Recorded]:
    """Each run with what the rules said of it."""
    for group in groups:
        one = Replay(group, rules, experimental=experimental)
        runs: dict[str, Recorded] = {}
        one.on_points = _counting(runs)
        for finding in one:
            if finding.diagnosis.state == FIRING:
                runs[finding.diagnosis.run].firings.append(_firing(finding))
        problems.extend(one.problems)
        for run in runs.values():
            run.timed = one.timed
            run.left_out = str(one.skipped) if one.skipped else ""
            yield run


def _counting(runs: dict[str, Recorded]) -> Callable[[str, list[Point]], None]:
    def see(run: str, points: list[Point]) -> None:
        if run not in runs:
            runs[run] = Recorded(run)
        for point in points:
            runs[run].see(point)

    return see


def _firing(finding: Finding) -> Firing:
    one = finding.diagnosis
    return Firing(
        one.rule, one.category, one.severity, one.step, one.rank, one.line,
        parse_rfc3339(one.time) if finding.timed else None, one.summary,
    )  # fmt: skip
