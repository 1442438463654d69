"""What became of one rule over a run: every verdict counted, the nearest miss and the asked step kept."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from stream.diagnose import verdicts
from stream.diagnose.verdicts import Verdict
from stream.explain.probing import Probed
from stream.rulelang.conjuncts import Part, parts, rule_source

MAX_AT_STEP: Final = 64
"""Verdicts kept for one step: one for each rank, at most so many."""
MAX_FIRINGS: Final = 1000
_NEAR: Final = frozenset({verdicts.NO_MATCH, verdicts.PENDING, verdicts.INHIBITED})


@dataclass(frozen=True)
class Miss:
    """The sample at which the condition was closest to holding without firing."""

    verdict: Verdict
    miss: float
    parts: list[Part]


@dataclass
class Tally:
    """Over the whole run. ``not_full``: samples before which a window had fewer values than it holds."""

    outcomes: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    inhibited_by: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    not_full: int = 0
    firings: list[Verdict] = field(default_factory=list)
    nearest: Miss | None = None


class Watcher:
    """The engine's watch. ``step``, ``rank``: only these are kept in full."""

    def __init__(self, probed: Probed, step: int | None, rank: int | None) -> None:
        self.tally = Tally()
        self.at_step: list[Verdict] = []
        self._probed = probed
        self._rule = probed.rule
        source = rule_source(probed.rule) or {}
        self._when = source.get("when") if isinstance(source.get("when"), str) else None
        self.where = source.get("where") if isinstance(source.get("where"), str) else None
        self._step = step
        self._rank = rank

    def __call__(self, verdict: Verdict) -> None:
        """Take one verdict."""
        if verdict.rule != self._rule.id or not self._of_rank(verdict):
            return
        self._count(verdict)
        event = verdict.event
        if event is not None and self._step is not None and event.step == self._step:
            self.at_step.append(verdict)
            del self.at_step[MAX_AT_STEP:]

    def _of_rank(self, verdict: Verdict) -> bool:
        if self._rank is None or verdict.resource is None:
            return True
        return verdict.resource.rank == self._rank

    def _count(self, verdict: Verdict) -> None:
        tally, outcome = self.tally, verdict.outcome
        tally.outcomes[outcome] += 1
        if outcome == verdicts.MISSING:
            tally.missing[verdict.detail] += 1
        elif outcome == verdicts.INHIBITED:
            tally.inhibited_by[verdict.detail] += 1
        elif outcome == verdicts.FIRING and len(tally.firings) < MAX_FIRINGS:
            tally.firings.append(verdict)
        tally.not_full += any(fill.last is not None and fill.count < fill.last for fill in verdict.windows)
        if outcome in _NEAR and self._when is not None:
            self._compare(verdict)

    def _compare(self, verdict: Verdict) -> None:
        found = self.parts(verdict)
        for part in found:
            if part.holds is False:
                self.tally.failed[part.text] += 1
        miss = max((part.miss for part in found), default=math.inf)
        if self.tally.nearest is None or miss < self.tally.nearest.miss:
            self.tally.nearest = Miss(verdict, miss, found)

    def parts(self, verdict: Verdict) -> list[Part]:
        """The parts of ``when`` as they were for this verdict."""
        if self._when is None or not verdict.values:
            return []
        return parts(self._when, self.known(verdict))

    def known(self, verdict: Verdict) -> dict[str, Any]:
        """Everything whose value is known at this verdict, by its text."""
        known: dict[str, Any] = {}
        if verdict.resource is not None:
            who = verdict.resource
            known = {
                "rank": who.rank,
                "attempt": who.attempt,
                "node": who.node,
                "role": who.role,
                "run": who.run,
            }
            known |= {"world_size": who.world_size, "local_rank": who.local_rank, "run_name": who.run_name}
        if verdict.event is not None:
            event = verdict.event
            known |= {
                "step": event.step,
                "epoch": event.epoch,
                "severity": event.severity,
                "body": event.body,
            }
            known |= {"status": event.status, **event.values}
        known |= self._probed.known(verdict.values)
        return {name: value for name, value in known.items() if value is not None}
