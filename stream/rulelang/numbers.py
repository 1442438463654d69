"""Arithmetic that never raises: IEEE 754 where Python's own operators would throw."""

from __future__ import annotations

import math


def divide(left: float, right: float) -> float:
    """Division as IEEE has it: x/0 is an infinity with the signs' product, 0/0 is NaN."""
    if right:
        return left / right
    if left == 0 or left != left or right != right:
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def remainder(left: float, right: float) -> float:
    """Python's ``%`` (the sign of the divisor); NaN where there is none."""
    return left % right if right and math.isfinite(left) else math.nan


def log(value: float) -> float:
    """Natural logarithm; -inf at 0, NaN below."""
    if value > 0:
        return math.log(value)
    return -math.inf if value == 0 else math.nan


def log10(value: float) -> float:
    """Decimal logarithm; -inf at 0, NaN below."""
    if value > 0:
        return math.log10(value)
    return -math.inf if value == 0 else math.nan


def exp(value: float) -> float:
    """The exponential; inf where it overflows."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def sqrt(value: float) -> float:
    """Square root; NaN below 0."""
    return math.sqrt(value) if value >= 0 else math.nan


def ceil(value: float) -> float:
    """The next whole number up; what is not finite stays."""
    return float(math.ceil(value)) if math.isfinite(value) else value


def floor(value: float) -> float:
    """The next whole number down; what is not finite stays."""
    return float(math.floor(value)) if math.isfinite(value) else value


def minimum(*values: float) -> float:
    """The smallest; NaN if any is NaN."""
    return math.nan if _any_nan(values) else min(values)


def maximum(*values: float) -> float:
    """The largest; NaN if any is NaN."""
    return math.nan if _any_nan(values) else max(values)


def _any_nan(values: tuple[float, ...]) -> bool:
    for value in values:  # noqa: SIM110 - a generator costs three times as much, and this runs per event
        if value != value:
            return True
    return False


def to_number(text: str) -> float:
    """The number a text spells, NaN where it spells none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def as_float(value: object) -> float | None:
    """A logged value as a float: None for text and nothing; ints beyond range become infinities."""
    if isinstance(value, (int, float)):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return None
