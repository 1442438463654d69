"""Whether a rank calls ``step()`` often enough to be waited for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

STALE_S: Final = 10.0
"""A rank that has not called step() for longer refuses, unless its steps take long."""

STALE_STEPS: Final = 5.0
"""So many steps of usual length are waited for."""


class Progress:
    """``state`` gives the calls so far and when the last one was (monotonic ns, 0 before the first)."""

    def __init__(self, rank: int, state: Callable[[], tuple[int, int]], now_ns: Callable[[], int]) -> None:
        self._rank, self._state, self._now_ns = rank, state, now_ns
        self._began_ns = now_ns()
        self._first: tuple[int, int] | None = None

    def objection(self) -> str:
        """Why this rank should not be waited for; empty where it may."""
        count, at_ns = self._state()
        if not count:
            age_s = (self._now_ns() - self._began_ns) * 1e-9
            return f"rank {self._rank} has not called step() since init, {age_s:.0f} s ago"
        age_s = (self._now_ns() - at_ns) * 1e-9
        if age_s > max(STALE_S, STALE_STEPS * self._usual_s(count, at_ns)):
            return f"rank {self._rank} has not called step() for {age_s:.0f} s"
        return ""

    def _usual_s(self, count: int, at_ns: int) -> float:
        """Length of a step: the mean since we first looked, or of all since init."""
        first_count, first_ns = self._first or (0, self._began_ns)
        if self._first is None:
            self._first = (count, at_ns)
        return (at_ns - first_ns) * 1e-9 / max(1, count - first_count)
