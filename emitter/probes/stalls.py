"""Sends the stacks of all threads when steps stop coming: once a stall, without being asked."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Callable
from typing import Final

REMEMBERED: Final = 64
FEWEST_STEPS: Final = 2
"""Before so many steps the loop may still compile, load or warm up: nothing is usual yet."""


class StallProbe:
    """``tick()`` every second or so. ``training()`` gives the count of steps and when progress was last made
    (monotonic ns), or None while the loop is in a phase that may take long; ``dump(reason)`` sends stacks.
    """

    def __init__(
        self,
        training: Callable[[], tuple[int, int] | None],
        now_ns: Callable[[], int],
        dump: Callable[[str], None],
        *,
        floor_s: float,
        factor: float,
    ) -> None:
        self._training, self._now_ns, self._dump = training, now_ns, dump
        self._floor_s, self._factor = floor_s, factor
        self._step_s: deque[float] = deque(maxlen=REMEMBERED)
        self._seen: tuple[int, int] | None = None
        self._dumped_ns: int | None = None

    def usual_s(self) -> float:
        """Median time of a step in the ticks that saw steps; 0 before the first."""
        return statistics.median(self._step_s) if self._step_s else 0.0

    def tick(self) -> None:
        """Learn how long steps take; dump where none has come for far longer."""
        at = self._training()
        if at is None:
            self._seen = None
            return
        count, progress_ns = at
        self._learn(count, progress_ns)
        silent_s = (self._now_ns() - progress_ns) * 1e-9
        if count < FEWEST_STEPS or progress_ns == self._dumped_ns or silent_s <= self._patience_s():
            return
        self._dumped_ns = progress_ns
        self._dump(f"no step for {silent_s:.0f} s, usually one takes {self.usual_s():.3g} s")

    def _patience_s(self) -> float:
        return max(self._floor_s, self._factor * self.usual_s())

    def _learn(self, count: int, progress_ns: int) -> None:
        before, self._seen = self._seen, (count, progress_ns)
        if before is not None and count > before[0] and progress_ns > before[1]:
            self._step_s.append((progress_ns - before[1]) * 1e-9 / (count - before[0]))
