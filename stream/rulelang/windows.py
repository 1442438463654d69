"""Windows over one series: the last N values or the values of the last T seconds, kept incrementally.

A push costs a binary search and a shift in a small array; nothing walks the window per event. Sums are
exact (integers), so they do not drift however long a run lasts. Values that are not finite are skipped.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from typing import Final

from stream.rulelang.model import WindowSpec

MAX_SAMPLES: Final = 10_000
"""The most values any window holds; an ``over=`` window drops its oldest beyond that."""
MAX_SECONDS: Final = 86_400.0

_SCALE: Final = 1074
"""Every finite double is a whole multiple of 2**-1074."""


class Window:
    """The values of one window. Every statistic but ``count`` and ``sum`` of none is NaN."""

    __slots__ = (
        "_capacity",
        "_keep_order",
        "_keep_sums",
        "_order",
        "_over_ns",
        "_squares",
        "_sum",
        "_values",
    )

    def __init__(self, spec: WindowSpec) -> None:
        self._over_ns = None if spec.over_s is None else int(spec.over_s * 1e9)
        self._capacity = spec.last or MAX_SAMPLES
        self._values: deque[tuple[int, float]] = deque()
        self._keep_order = "order" in spec.needs
        self._keep_sums = "sums" in spec.needs
        self._order: list[float] = []
        self._sum = 0
        self._squares = 0

    def push(self, time_ns: int, value: float) -> None:
        """Append a value; one that is not finite is skipped."""
        if value - value != 0.0:
            return
        if len(self._values) >= self._capacity:
            self._drop_oldest()
        self._values.append((time_ns, value))
        if self._keep_order:
            insort(self._order, value)
        if self._keep_sums:
            whole = _whole(value)
            self._sum += whole
            self._squares += whole * whole

    def expire(self, now_ns: int) -> None:
        """Forget what is older than the window's duration at this time."""
        if self._over_ns is None:
            return
        limit = now_ns - self._over_ns
        while self._values and self._values[0][0] <= limit:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        value = self._values.popleft()[1]
        if self._keep_order:
            del self._order[bisect_left(self._order, value)]
        if self._keep_sums:
            whole = _whole(value)
            self._sum -= whole
            self._squares -= whole * whole

    def count(self) -> float:
        return float(len(self._values))

    def first(self) -> float:
        return self._values[0][1] if self._values else math.nan

    def last(self) -> float:
        return self._values[-1][1] if self._values else math.nan

    def delta(self) -> float:
        return self._values[-1][1] - self._values[0][1] if self._values else math.nan

    def sum(self) -> float:
        return _ratio(self._sum, 1 << _SCALE)

    def mean(self) -> float:
        size = len(self._values)
        return _ratio(self._sum, size << _SCALE) if size else math.nan

    def std(self) -> float:
        size = len(self._values)
        if not size:
            return math.nan
        spread = size * self._squares - self._sum * self._sum
        return _root(spread, 2 * _SCALE, size)

    def min(self) -> float:
        return self._order[0] if self._order else math.nan

    def max(self) -> float:
        return self._order[-1] if self._order else math.nan

    def median(self) -> float:
        order = self._order
        size = len(order)
        if not size:
            return math.nan
        middle = size >> 1
        return order[middle] if size & 1 else _halfway(order[middle - 1], order[middle])

    def quantile(self, share: float) -> float:
        order = self._order
        if not order:
            return math.nan
        place = share * (len(order) - 1)
        below = int(place)
        above = min(below + 1, len(order) - 1)
        part = place - below
        return order[below] * (1.0 - part) + order[above] * part

    def mad(self) -> float:
        size = len(self._order)
        if not size:
            return math.nan
        center = self.median()
        low, high = self._distance((size - 1) >> 1, center), self._distance(size >> 1, center)
        return low if low == high else _halfway(low, high)

    def _distance(self, rank: int, center: float) -> float:
        """The distance from ``center`` of this rank (from 0): merges two sorted halves by bisection."""
        order = self._order
        split = bisect_left(order, center)
        right = len(order) - split
        low, high = max(0, rank + 1 - right), min(rank + 1, split)
        while low < high:
            taken = (low + high) >> 1
            if center - order[split - 1 - taken] < order[split + rank - taken] - center:
                low = taken + 1
            else:
                high = taken
        left = center - order[split - low] if low else -math.inf
        other = rank - low
        return max(left, order[split + other] - center if other >= 0 else -math.inf)


def _whole(value: float) -> int:
    """The value times 2**1074, exactly."""
    top, bottom = value.as_integer_ratio()
    return top << (_SCALE + 1 - bottom.bit_length())


def _halfway(left: float, right: float) -> float:
    middle = (left + right) / 2.0
    return middle if math.isfinite(middle) else left / 2.0 + right / 2.0


def _ratio(top: int, bottom: int) -> float:
    """The nearest float; an infinity beyond range."""
    try:
        return top / bottom
    except OverflowError:
        return math.inf if top > 0 else -math.inf


def _root(spread: int, scale: int, size: int) -> float:
    """sqrt(spread / 2**scale) / size with 60 good bits."""
    if spread <= 0:
        return 0.0
    shift = max(0, 128 - spread.bit_length())
    shift += (shift + scale) & 1
    root = math.isqrt(spread << shift)
    return _ratio(root, size << ((scale + shift) // 2))
