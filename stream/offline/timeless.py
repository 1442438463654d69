"""Rules for data without times: durations cannot be measured, so what depends on them is left out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from stream.rulelang.model import Rule, RuleSet

NEAR_LINES: Final = 20
"""Without times, matching lines of a log so near to each other are one finding."""
LINE_NS: Final = 1_000
"""How far apart two points are whose real distance is not known; a new step is a second."""


@dataclass(frozen=True)
class Skipped:
    """What was left out: clauses of rules that still run, and rules that mean nothing without times."""

    clauses: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = []
        if self.clauses:
            parts.append(f"skipped {', '.join(self.clauses)}")
        if self.rules:
            parts.append(f"left out {', '.join(self.rules)}")
        return f"no times in the data: {'; '.join(parts)}"

    def __bool__(self) -> bool:
        return bool(self.clauses or self.rules)


def without_times(rules: RuleSet) -> tuple[RuleSet, Skipped]:
    """The rules as far as they can be judged by order alone, and what that leaves out."""
    kept: list[Rule] = []
    clauses: list[str] = []
    left_out: list[str] = []
    for rule in rules.rules:
        if _measures_time(rule):
            left_out.append(rule.id)
            continue
        if rule.for_s:
            clauses.append(f"`for` of {rule.id}")
        if rule.keep_firing_s and rule.log is None:
            clauses.append(f"`keep_firing` of {rule.id}")
        near_s = NEAR_LINES * LINE_NS / 1e9 if rule.log is not None else 0.0
        kept.append(replace(rule, for_s=0.0, keep_firing_s=near_s))
    return RuleSet(rules.packs, tuple(kept)), Skipped(tuple(clauses), tuple(left_out))


def _measures_time(rule: Rule) -> bool:
    windows = rule.program.windows if rule.program is not None else ()
    return rule.absent is not None or any(window.over_s is not None for window in windows)
