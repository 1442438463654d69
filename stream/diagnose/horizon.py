"""How far back the past reaches into what rules say now."""

from __future__ import annotations

from typing import Final

from stream.rulelang import RuleSet
from stream.rulelang.model import Rule

LEAST_S: Final = 600.0
"""Samples that are counted, not timed, and ranks that others wait for."""
MOST_S: Final = 3600.0
"""Longer windows fill anew: a replay of their length would hold up what happens now."""


def horizon_s(rules: RuleSet) -> float:
    """Seconds to read again where there is no snapshot: the longest that a rule looks back or waits."""
    return min(MOST_S, max((_reach_s(rule) for rule in rules.rules), default=0.0)) + LEAST_S


def _reach_s(rule: Rule) -> float:
    windows = rule.program.windows if rule.program is not None else ()
    over_s = max((window.over_s or 0.0 for window in windows), default=0.0)
    absent_s = rule.absent.for_s if rule.absent is not None else 0.0
    return max(over_s + rule.for_s, absent_s, rule.keep_firing_s)
