"""What the other ranks have: statistics over all values but one's own, without computing each anew.

Values that are not finite do not count. A crowd is sorted once; leaving one value out is a matter of
places, so n ranks cost O(n log n) together.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from math import isfinite
from typing import overload

from stream.rulelang import sorted_values


class Without(Sequence[float]):
    """A sorted list without the value at one place, without a copy."""

    __slots__ = ("_gap", "_items")

    def __init__(self, items: list[float], gap: int) -> None:
        self._items = items
        self._gap = gap

    def __len__(self) -> int:
        return len(self._items) - 1

    @overload
    def __getitem__(self, place: int) -> float: ...
    @overload
    def __getitem__(self, place: slice) -> list[float]: ...
    def __getitem__(self, place: int | slice) -> float | list[float]:
        if isinstance(place, slice):
            return [self[index] for index in range(*place.indices(len(self)))]
        if place < 0:
            place += len(self._items) - 1
        return self._items[place if place < self._gap else place + 1]


class Crowd:
    """The values of all ranks of one group. Sums are exact whole numbers, kept once asked for."""

    __slots__ = ("_bits", "_squares", "_summed", "_total", "items")

    def __init__(self, values: Iterable[float] = ()) -> None:
        self.items = sorted(value for value in values if isfinite(value))
        self._summed = False
        self._bits = 0
        self._total = 0
        self._squares = 0

    def add(self, value: float) -> None:
        """One more; it must be finite."""
        insort(self.items, value)
        if self._summed:
            self._sum(value, 1)

    def remove(self, value: float) -> None:
        """One less; it must be there."""
        del self.items[bisect_left(self.items, value)]
        if self._summed:
            self._sum(value, -1)

    def others(self, own: float | None) -> Peers:
        """All but ``own``, which is a value of the crowd; all of it where that is None or not finite."""
        return Peers(self, own if own is not None and isfinite(own) else None)

    def sums(self, own: float | None) -> tuple[int, int, int, int]:
        """How many there are without ``own``, their sum, the sum of squares, and the bits of the unit.

        Sums are in units of 2**-bits, squares in those of 2**-(2 bits).
        """
        if not self._summed:
            self._summed = True
            for value in self.items:
                self._sum(value, 1)
        if own is None:
            return len(self.items), self._total, self._squares, self._bits
        whole = self._whole(own)
        return len(self.items) - 1, self._total - whole, self._squares - whole * whole, self._bits

    def _sum(self, value: float, sign: int) -> None:
        whole = self._whole(value)
        self._total += sign * whole
        self._squares += sign * whole * whole

    def _whole(self, value: float) -> int:
        """The value in units that are fine enough for every value so far."""
        top, bottom = value.as_integer_ratio()
        bits = bottom.bit_length() - 1
        finer = bits - self._bits
        if finer > 0:
            self._bits = bits
            self._total <<= finer
            self._squares <<= 2 * finer
            return top
        return top << -finer


class Peers:
    """Statistics of a crowd without one's own value. Of nobody: NaN; ``count`` and ``sum`` 0."""

    __slots__ = ("_crowd", "_own")

    def __init__(self, crowd: Crowd, own: float | None) -> None:
        self._crowd = crowd
        self._own = own

    def _items(self) -> Sequence[float]:
        items, own = self._crowd.items, self._own
        return items if own is None else Without(items, bisect_left(items, own))

    def count(self) -> float:
        """How many others have a value."""
        return float(len(self._crowd.items) - (self._own is not None))

    def min(self) -> float:
        """The smallest."""
        return sorted_values.smallest(self._items())

    def max(self) -> float:
        """The largest."""
        return sorted_values.largest(self._items())

    def median(self) -> float:
        """The median; the mean of the middle two."""
        return sorted_values.median(self._items())

    def mad(self) -> float:
        """The median distance from the median."""
        return sorted_values.mad(self._items())

    def quantile(self, share: float) -> float:
        """Interpolated."""
        return sorted_values.quantile(self._items(), share)

    def sum(self) -> float:
        """The sum, exactly rounded."""
        _, total, _, bits = self._crowd.sums(self._own)
        return _ratio(total, 1 << bits)

    def mean(self) -> float:
        """The mean, exactly rounded."""
        size, total, _, bits = self._crowd.sums(self._own)
        return _ratio(total, size << bits) if size else math.nan

    def std(self) -> float:
        """The population standard deviation."""
        size, total, squares, bits = self._crowd.sums(self._own)
        return _root(size * squares - total * total, size, bits) if size else math.nan


def _ratio(top: int, bottom: int) -> float:
    """The nearest float; an infinity beyond range."""
    try:
        return top / bottom
    except OverflowError:
        return math.inf if top > 0 else -math.inf


def _root(spread: int, size: int, bits: int) -> float:
    """sqrt(spread) / size in units of 2**-bits."""
    if spread <= 0:
        return 0.0
    shift = max(0, 128 - spread.bit_length())
    shift += shift & 1
    return _ratio(math.isqrt(spread << shift), size << (bits + shift // 2))
