"""Rules for data without times: durations cannot be measured, so what depends on them is left out."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from stream.rulelang.functions import TIMES
from stream.rulelang.model import Rule, RuleSet

NEAR_LINES: Final = 20
"""Without times, matching lines of a log so near to each other are one finding."""
LINE_NS: Final = 1_000
"""How far apart two points are whose real distance is not known; a new step is a second."""


@dataclass(frozen=True)
class Skipped:
    """What was left out, by rule: clauses of rules that still run, and rules that mean nothing without times.

    ``events`` are what those rules look at.
    """

    clauses: tuple[tuple[str, str], ...] = ()
    rules: tuple[str, ...] = ()
    events: Mapping[str, str] = field(default_factory=dict)

    def about(self, events: Container[str]) -> Skipped:
        """Only what concerns rules whose events came."""
        came = {rule for rule, event in self.events.items() if event in events}
        clauses = tuple(pair for pair in self.clauses if pair[0] in came)
        return Skipped(clauses, tuple(rule for rule in self.rules if rule in came), self.events)

    def __str__(self) -> str:
        parts = []
        if self.clauses:
            parts.append(f"skipped {', '.join(f'`{clause}` of {rule}' for rule, clause in self.clauses)}")
        if self.rules:
            parts.append(f"left out {', '.join(self.rules)}")
        return f"no times in the data: {'; '.join(parts)}"

    def __bool__(self) -> bool:
        return bool(self.clauses or self.rules)


def without_times(rules: RuleSet) -> tuple[RuleSet, Skipped]:
    """The rules as far as they can be judged by order alone, and what that leaves out."""
    kept: list[Rule] = []
    clauses: list[tuple[str, str]] = []
    left_out: list[str] = []
    for rule in rules.rules:
        if _measures_time(rule):
            left_out.append(rule.id)
            continue
        if rule.for_s:
            clauses.append((rule.id, "for"))
        if rule.keep_firing_s and rule.log is None:
            clauses.append((rule.id, "keep_firing"))
        near_s = NEAR_LINES * LINE_NS / 1e9 if rule.log is not None else 0.0
        kept.append(replace(rule, for_s=0.0, keep_firing_s=near_s))
    events = {rule.id: rule.absent.of if rule.absent is not None else rule.on for rule in rules.rules}
    return RuleSet(rules.packs, tuple(kept)), Skipped(tuple(clauses), tuple(left_out), events)


def _measures_time(rule: Rule) -> bool:
    windows = rule.program.windows if rule.program is not None else ()
    timed = any(window.over_s is not None or TIMES in window.needs for window in windows)
    return rule.absent is not None or timed
