"""Order statistics: a moving stretch of values kept sorted, and what is read off sorted values.

Every result is a function of the values alone: not of the order in which they came, nor of the sign of a
zero. Nothing is sorted before somebody asks.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import Final

_DEAR: Final = 6
"""Beyond one change for so many values, sorting anew is cheaper than moving each into place."""


class Sorted:
    """The sorted values of a stretch, by the numbers of its first value and of the one behind its last."""

    __slots__ = ("begin", "end", "items")

    def __init__(self) -> None:
        self.begin = self.end = 0
        self.items: list[float] = []

    def sync(self, values: Sequence[float], base: int, begin: int, end: int) -> list[float]:
        """The sorted values of ``[begin, end)``; ``values`` starts with number ``base`` <= ``begin``."""
        items = self.items
        gone, new = begin - self.begin, end - self.end
        if gone == new == 1 and base < begin <= self.end:
            # What happens at every sample once a window is full.
            del items[bisect_left(items, values[begin - base - 1])]
            insort(items, values[-1])
        elif self.begin < base or begin > self.end or (gone + new) * _DEAR > len(items):
            items = self.items = sorted(values[begin - base : end - base])
        else:
            for value in values[self.begin - base : begin - base]:
                del items[bisect_left(items, value)]
            for value in values[self.end - base : end - base]:
                insort(items, value)
        self.begin, self.end = begin, end
        return items


def smallest(items: Sequence[float]) -> float:
    """The smallest of sorted values, NaN of none."""
    return items[0] + 0.0 if items else math.nan


def largest(items: Sequence[float]) -> float:
    """The largest of sorted values, NaN of none."""
    return items[-1] + 0.0 if items else math.nan


def median(items: Sequence[float]) -> float:
    """The median of sorted values (the mean of the middle two), NaN of none."""
    size = len(items)
    if not size:
        return math.nan
    middle = size >> 1
    return items[middle] + 0.0 if size & 1 else _halfway(items[middle - 1], items[middle])


def quantile(items: Sequence[float], share: float) -> float:
    """The interpolated quantile of sorted values (Hyndman and Fan's type 7), NaN of none."""
    if not items:
        return math.nan
    place = share * (len(items) - 1)
    below = int(place)
    above = min(below + 1, len(items) - 1)
    part = place - below
    return items[below] * (1.0 - part) + items[above] * part + 0.0


def mad(items: Sequence[float]) -> float:
    """The median distance of sorted values from their median, NaN of none."""
    size = len(items)
    if not size:
        return math.nan
    center = median(items)
    split = bisect_left(items, center)
    # The distances are two sorted halves, read outwards from the split. Of the nearest `want` distances,
    # `low` are on the left: found by bisection.
    want = (size + 1) >> 1
    low, high = max(0, want - size + split), min(want, split)
    near, far = split - 1, split + want - 1
    while low < high:
        taken = (low + high) >> 1
        if center - items[near - taken] < items[far - taken] - center:
            low = taken + 1
        else:
            high = taken
    left, right = split - low, split + want - low
    inner = center - items[left] if low else 0.0
    if low < want and items[right - 1] - center > inner:
        inner = items[right - 1] - center
    if size & 1:
        return inner + 0.0
    outer = center - items[left - 1] if left else math.inf
    if right < size and items[right] - center < outer:
        outer = items[right] - center
    return _halfway(inner, outer)


def _halfway(left: float, right: float) -> float:
    middle = (left + right) / 2.0
    return middle + 0.0 if middle - middle == 0.0 else left / 2.0 + right / 2.0
