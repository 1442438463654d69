"""How long a fetch may wait at a broker that sleeps through new data: little just after records came.

A record that was read makes others, which this worker reads next: a bad value passes four topics. So
waits begin short after records and grow to the longest, which is what an idle worker costs.

The embedded broker looks through all that a partition holds before it answers, and answers with nothing when
that takes longer than the wait (some 20,000 batches in 20 ms): a partition that again and again brings
nothing although it has something makes waits longer, or its consumer would stand still for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Final

SHORTEST_MS: Final = 2
GROWTH: Final = 0.2
"""Of the time since records came last. What is not there yet after a fetch that long is nearly there."""
PATIENCE_MS: Final = 500
"""So long waits grow at most, for a broker that is slow to find what is there."""
IN_VAIN: Final = 3
"""Times in a row; once or twice, the record came between the broker's search and its answer."""
_CALMER: Final = 0.9
"""Of the patience, after each fetch that brought something."""


class Pace:
    """``now``: a monotonic clock in seconds; without ``haste`` waits are the longest at all times."""

    def __init__(self, longest_ms: int, now: Callable[[], float], haste: bool = True) -> None:
        self._longest_ms, self._now, self._haste = longest_ms, now, haste
        self._came = float("-inf")
        self._patience_ms = 0.0
        self._in_vain: dict[Hashable, int] = {}

    def came(self) -> None:
        """A fetch brought records."""
        self._patience_ms *= _CALMER
        if self._haste:
            self._came = self._now()

    def left_out(self, places: Iterable[Hashable]) -> None:
        """The places (partition and position) where the last fetch brought nothing though there is more."""
        self._in_vain = {place: self._in_vain.get(place, 0) + 1 for place in places}
        if max(self._in_vain.values(), default=0) >= IN_VAIN:
            self._patience_ms = min(PATIENCE_MS, 2 * max(self._patience_ms, self.wait_ms))
            self._in_vain.clear()

    @property
    def wait_ms(self) -> int:
        """How long the next fetch may wait."""
        since_ms = (self._now() - self._came) * 1000
        return int(max(self._patience_ms, min(self._longest_ms, max(SHORTEST_MS, GROWTH * since_ms))))
