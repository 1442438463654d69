"""How long a fetch may wait at a broker that sleeps through new data: little just after records came.

A record that was read makes others, which this worker reads next: a bad value passes four topics. So
waits begin short after records and grow to the longest, which is what an idle worker costs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

SHORTEST_MS: Final = 2
GROWTH: Final = 0.2
"""Of the time since records came last. What is not there yet after a fetch that long is nearly there."""


class Pace:
    """``now``: a monotonic clock in seconds."""

    def __init__(self, longest_ms: int, now: Callable[[], float]) -> None:
        self._longest_ms, self._now = longest_ms, now
        self._came = float("-inf")

    def came(self) -> None:
        """A fetch brought records."""
        self._came = self._now()

    @property
    def wait_ms(self) -> int:
        """How long the next fetch may wait."""
        since_ms = (self._now() - self._came) * 1000
        return int(min(self._longest_ms, max(SHORTEST_MS, GROWTH * since_ms)))
