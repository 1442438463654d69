"""The score of a backtest: what was found, how soon, and what was said falsely."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from stream.backtest.labels import CLEAN, Anomaly, Label
from stream.backtest.replaying import Firing, Recorded

GRACE: Final = 3
"""A rule may see the beginning of an anomaly this many logged points before the label says it began."""


@dataclass(frozen=True)
class Delay:
    """Logged points, and seconds where known, from the beginning of an anomaly to the firing."""

    points: int
    seconds: float | None


@dataclass
class RuleScore:
    """One rule over all runs. False alarms are its alarms in clean runs."""

    rule: str
    category: str
    severity: str
    firings: int = 0
    runs: int = 0
    false: int = 0
    false_timed: int = 0
    found: int = 0
    delays: list[Delay] = field(default_factory=list)


@dataclass
class CategoryScore:
    """The certain anomalies of one type."""

    found: int = 0
    total: int = 0
    delays: list[Delay] = field(default_factory=list)


@dataclass
class Score:
    """Everything over all runs. ``clean_days`` counts clean runs with times, ``clean_points`` the others."""

    runs: int = 0
    points: int = 0
    days: float = 0.0
    labelled: int = 0
    clean: int = 0
    clean_alarmed: int = 0
    clean_days: float = 0.0
    clean_points: int = 0
    rules: dict[str, RuleScore] = field(default_factory=dict)
    categories: dict[str, CategoryScore] = field(default_factory=dict)
    missed: list[tuple[str, Anomaly]] = field(default_factory=list)
    alarms: list[tuple[str, Firing]] = field(default_factory=list)

    @property
    def recall(self) -> float | None:
        """The share of certain anomalies that was found, None where none is labelled."""
        total = sum(one.total for one in self.categories.values())
        return sum(one.found for one in self.categories.values()) / total if total else None

    @property
    def alarmed(self) -> float | None:
        """The share of clean runs with any alarm, None where none is labelled clean."""
        return self.clean_alarmed / self.clean if self.clean else None

    def false_per_day(self, rule: RuleScore) -> float | None:
        """False alarms per recorded day of the clean runs that have times, None without such runs."""
        return rule.false_timed / self.clean_days if self.clean_days else None

    def false_per_1000(self, rule: RuleScore) -> float | None:
        """False alarms per 1,000 logged points of the clean runs without times, None without such runs."""
        return 1000 * (rule.false - rule.false_timed) / self.clean_points if self.clean_points else None


def score(recorded: Iterable[Recorded], labels: Mapping[str, Label]) -> Score:
    """The score of these runs; those without a label count only as firings."""
    total = Score()
    for run in recorded:
        total.runs += 1
        total.points += run.points
        total.days += run.days
        _count_firings(total, run)
        label = labels.get(run.run)
        if label is not None:
            total.labelled += 1
            _judge(total, run, label)
    return total


def median_delay(delays: Iterable[Delay]) -> tuple[float | None, float | None]:
    """The median points and seconds, None where there are none."""
    known = list(delays)
    seconds = [one.seconds for one in known if one.seconds is not None]
    return (
        statistics.median(one.points for one in known) if known else None,
        statistics.median(seconds) if seconds else None,
    )


def _count_firings(total: Score, run: Recorded) -> None:
    for firing in run.firings:
        rule = total.rules.get(firing.rule)
        if rule is None:
            rule = total.rules[firing.rule] = RuleScore(firing.rule, firing.category, firing.severity)
        rule.firings += 1
    for name in {firing.rule for firing in run.firings}:
        total.rules[name].runs += 1


def _judge(total: Score, run: Recorded, label: Label) -> None:
    if label.kind == CLEAN:
        _count_false(total, run)
    for anomaly in label.anomalies:
        if anomaly.certain:
            _look_for(total, run, anomaly)


def _count_false(total: Score, run: Recorded) -> None:
    total.clean += 1
    if run.days:
        total.clean_days += run.days
    else:
        total.clean_points += run.points
    alarms = [firing for firing in run.firings if firing.loud]
    total.clean_alarmed += bool(alarms)
    for alarm in alarms:
        total.alarms.append((run.run, alarm))
        total.rules[alarm.rule].false += 1
        total.rules[alarm.rule].false_timed += bool(run.days)


def _look_for(total: Score, run: Recorded, anomaly: Anomaly) -> None:
    category = total.categories.setdefault(anomaly.type, CategoryScore())
    category.total += 1
    hits = [(one, delay) for one in run.firings if (delay := _delay(run, one, anomaly)) is not None]
    if not hits:
        total.missed.append((run.run, anomaly))
        return
    category.found += 1
    category.delays.append(min((delay for _, delay in hits), key=lambda delay: delay.points))
    first: dict[str, Delay] = {}
    for firing, delay in hits:
        first.setdefault(firing.rule, delay)
    for name, delay in first.items():
        total.rules[name].found += 1
        total.rules[name].delays.append(delay)


def _delay(run: Recorded, firing: Firing, anomaly: Anomaly) -> Delay | None:
    """How late this firing finds this anomaly; None where it does not."""
    if not firing.loud or firing.category not in anomaly.found_by:
        return None
    start = anomaly.first_step
    if start is None:
        return Delay(0, None)
    if firing.step is None or firing.step < _earliest(run, start):
        return None
    after = [step for step in run.steps if start < step <= firing.step]
    begun = min(
        (time for step, time in run.steps.items() if step >= start and time is not None), default=None
    )
    known = run.timed and begun is not None and firing.time_ns is not None
    return Delay(len(after), max(0, firing.time_ns - begun) / 1e9 if known else None)  # type: ignore[operator]


def _earliest(run: Recorded, start: float) -> float:
    before = sorted(step for step in run.steps if step < start)
    return before[-GRACE] if len(before) >= GRACE else float("-inf")
