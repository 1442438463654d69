"""Arithmetic with intervals: what an operation gives while its arguments are anywhere in theirs.

An interval with low > high holds no number: NaN, which operations pass on and comparisons refuse.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import Final

from stream.rulelang import numbers
from stream.rulelang.outlook import ANY, NONE, Interval, wider


def some(one: Interval) -> bool:
    """Whether the interval holds a number."""
    return one[0] <= one[1]


def _made(low: float, high: float) -> Interval:
    return (low if low == low else -math.inf), (high if high == high else math.inf)


def add(left: Interval, right: Interval) -> Interval:
    """Of a sum."""
    return _made(left[0] + right[0], left[1] + right[1])


def subtract(left: Interval, right: Interval) -> Interval:
    """Of a difference."""
    return _made(left[0] - right[1], left[1] - right[0])


def multiply(left: Interval, right: Interval) -> Interval:
    """Of a product."""
    (a, b), (c, d) = left, right
    if a > b or c > d:
        return NONE
    if a >= 0 and c >= 0:
        return _made(a * c, b * d)
    return _between(a * c, a * d, b * c, b * d)


def divide(left: Interval, right: Interval) -> Interval:
    """Of a quotient; nothing is known where the divisor may be 0, but of 0/0."""
    (a, b), (c, d) = left, right
    if a > b or c > d or (a == b == c == d == 0):
        return NONE
    if c <= 0 <= d:
        return ANY
    if a >= 0 and c > 0:
        return _made(a / d, b / c)
    return _between(a / c, a / d, b / c, b / d)


def _between(*corners: float) -> Interval:
    if any(corner != corner for corner in corners):
        return ANY
    return min(corners), max(corners)


def _rising(function: Callable[[float], float]) -> Callable[[Interval], Interval]:
    """A function that grows with its argument, its results not always rounded alike."""

    def of(one: Interval) -> Interval:
        low, high = one
        if low > high:
            return NONE
        least, most = function(low), function(high)
        if most != most:
            return NONE
        return wider(-math.inf if least != least else least, most)

    return of


def _exactly_rising(function: Callable[[float], float]) -> Callable[[Interval], Interval]:
    return lambda one: NONE if one[0] > one[1] else (function(one[0]), function(one[1]))


def _absolute(one: Interval) -> Interval:
    low, high = one
    if low > high:
        return NONE
    return (0.0 if low <= 0 <= high else min(abs(low), abs(high))), max(abs(low), abs(high))


def _smallest(*all_of: Interval) -> Interval:
    if any(low > high for low, high in all_of):
        return NONE
    return min(low for low, _ in all_of), min(high for _, high in all_of)


def _largest(*all_of: Interval) -> Interval:
    if any(low > high for low, high in all_of):
        return NONE
    return max(low for low, _ in all_of), max(high for _, high in all_of)


OPERATIONS: Final = {ast.Add: add, ast.Sub: subtract, ast.Mult: multiply}
FUNCTIONS: Final[dict[str, Callable[..., Interval]]] = {
    "abs": _absolute, "ceil": _exactly_rising(numbers.ceil), "floor": _exactly_rising(numbers.floor),
    "exp": _rising(numbers.exp), "log": _rising(numbers.log), "log10": _rising(numbers.log10),
    "sqrt": _rising(numbers.sqrt), "min": _smallest, "max": _largest,
}  # fmt: skip
MAY: Final[dict[type, Callable[[Interval, Interval], bool]]] = {
    ast.Lt: lambda a, b: a[0] < b[1], ast.LtE: lambda a, b: a[0] <= b[1],
    ast.Gt: lambda a, b: a[1] > b[0], ast.GtE: lambda a, b: a[1] >= b[0],
    ast.Eq: lambda a, b: a[0] <= b[1] and b[0] <= a[1],
}  # fmt: skip
"""Whether a comparison may hold."""

SURELY: Final[dict[type, Callable[[Interval, Interval], bool]]] = {
    ast.Lt: lambda a, b: some(a) and some(b) and a[1] < b[0],
    ast.LtE: lambda a, b: some(a) and some(b) and a[1] <= b[0],
    ast.Gt: lambda a, b: some(a) and some(b) and a[0] > b[1],
    ast.GtE: lambda a, b: some(a) and some(b) and a[0] >= b[1],
}
"""Whether a comparison holds whatever the numbers are."""
