"""The smallest or largest value of a moving stretch, at the same small cost at every step.

The stretch is cut in two. For the older part the extreme from each value on is known; for the newer part
that of all its values. Once the older part is used up, the whole stretch becomes the older part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import accumulate

Choose = Callable[..., float]
"""Of several numbers or of a list of them."""


class Extreme:
    """``choose`` is min or max. Stretches are given by numbers, as in sorted_values."""

    __slots__ = ("_choose", "_cut", "_end", "_newer", "_older")

    def __init__(self, choose: Choose) -> None:
        self._choose = choose
        self._cut = self._end = 0
        self._older: list[float] = []
        self._newer = math.nan

    def of(self, values: Sequence[float], base: int, begin: int, end: int) -> float:
        """The extreme of ``[begin, end)``, NaN of none; ``values`` starts with number ``base`` <= begin."""
        ahead = self._cut - begin - 1
        if not 0 <= ahead < len(self._older):
            return self._recut(values[begin - base : end - base], end)
        newer = self._newer
        if end != self._end:
            # A value at a time is what happens as a rule.
            come = values[-1] if end == self._end + 1 else self._choose(values[self._end - base : end - base])
            newer = come if newer != newer else self._choose(newer, come)
            self._newer, self._end = newer, end
        older = self._older[ahead]
        return (older if newer != newer else self._choose(older, newer)) + 0.0

    def _recut(self, values: Sequence[float], end: int) -> float:
        self._older = list(accumulate(reversed(values), self._choose))
        self._cut = self._end = end
        self._newer = math.nan
        return self._older[-1] + 0.0 if values else math.nan
