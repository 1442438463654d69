"""Whether to start again, and when: backoff, budgets, storms. Pure: time and chance are arguments."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from stream.supervise import ending

NEVER: Final = frozenset({ending.FINISHED, ending.PREEMPTED, ending.STOPPED})


@dataclass(frozen=True)
class Terms:
    """At most ``most`` restarts after failures in ``window_s``; waits from ``first_s`` to ``longest_s``, from
    the beginning again after ``healthy_s`` without one; ``stuck`` failures in a row that come no further than
    any attempt before.
    """

    most: int = 10
    window_s: float = 3600.0
    first_s: float = 1.0
    longest_s: float = 300.0
    healthy_s: float = 600.0
    stuck: int = 2


@dataclass(frozen=True)
class Again:
    """Start again after ``delay_s``."""

    delay_s: float


@dataclass(frozen=True)
class GiveUp:
    """No more, and why."""

    reason: str


class Restarts:
    """Remembers the failures of one run."""

    def __init__(self, terms: Terms, chance: Callable[[float, float], float] | None = None) -> None:
        self._terms = terms
        self._chance = chance or random.SystemRandom().uniform
        self._failed: deque[float] = deque()
        self._furthest = -1
        self._stuck = 0
        self._row = 0

    def after(self, cause: str, lived_s: float, step: int | None, now_s: float) -> Again | GiveUp | None:
        """What follows an end; None where nothing does. ``step``: the highest that the attempt reached."""
        if cause in NEVER:
            return None
        if cause == ending.RESTART:  # somebody wants it, and has a budget of their own
            self._seen(step)
            return Again(0.0)
        terms = self._terms
        while self._failed and now_s - self._failed[0] >= terms.window_s:
            self._failed.popleft()
        stuck = 0 if self._seen(step) else self._stuck + 1
        self._stuck, self._row = stuck, 0 if lived_s >= terms.healthy_s else self._row
        if len(self._failed) >= terms.most:
            return GiveUp(f"giving up after {len(self._failed)} restarts in {terms.window_s / 60:g} minutes")
        if stuck >= terms.stuck:
            where = f"step {self._furthest}" if self._furthest >= 0 else "the first step"
            return GiveUp(
                f"giving up after {len(self._failed)} restarts: {stuck} in a row came no further than {where}"
            )
        self._failed.append(now_s)
        wait_s = min(terms.longest_s, terms.first_s * 2.0**self._row)
        self._row += 1
        return Again(wait_s * self._chance(0.5, 1.0))

    def _seen(self, step: int | None) -> bool:
        """Whether this is further than ever."""
        if step is None or step <= self._furthest:
            return False
        self._furthest = step
        return True
