"""What values an expression can have at all: intervals, from which comparisons that say nothing are found.

Bounds hold for values that are numbers; NaN is possible everywhere, and makes every comparison false.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple


class Range(NamedTuple):
    """Every value lies in [low, high] (or is NaN)."""

    low: float = -math.inf
    high: float = math.inf

    @property
    def point(self) -> bool:
        """Whether there is but one value."""
        return self.low == self.high


ANY: Final = Range()
FROM_ZERO: Final = Range(0.0, math.inf)


def at(value: float) -> Range:
    """The range of a constant."""
    return ANY if math.isnan(value) else Range(value, value)


def add(left: Range, right: Range) -> Range:
    """Of a sum."""
    return _made(left.low + right.low, left.high + right.high)


def subtract(left: Range, right: Range) -> Range:
    """Of a difference."""
    return _made(left.low - right.high, left.high - right.low)


def multiply(left: Range, right: Range) -> Range:
    """Of a product."""
    return _between([a * b for a in left for b in right])


def divide(left: Range, right: Range) -> Range:
    """Of a quotient; nothing is known where the divisor may be 0."""
    if right.low <= 0 <= right.high:
        return ANY
    return _between([a / b for a in left for b in right])


def negate(one: Range) -> Range:
    """Of a number with its sign turned."""
    return Range(-one.high, -one.low)


def either(left: Range, right: Range) -> Range:
    """Of one or the other."""
    return Range(min(left.low, right.low), max(left.high, right.high))


def absolute(one: Range) -> Range:
    """Of an absolute value."""
    low = 0.0 if one.low <= 0 <= one.high else min(abs(one.low), abs(one.high))
    return Range(low, max(abs(one.low), abs(one.high)))


def _between(corners: list[float]) -> Range:
    return ANY if any(map(math.isnan, corners)) else Range(min(corners), max(corners))


def _made(low: float, high: float) -> Range:
    return Range(-math.inf if math.isnan(low) else low, math.inf if math.isnan(high) else high)
