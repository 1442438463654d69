"""Time ranges of a request, and the bucket width that fits a chart. Pure."""

from __future__ import annotations

import re
from typing import Final

_UNITS_MS: Final = {
    "ms": 1,
    "s": 1000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 7 * 86_400_000,
    "M": 30 * 86_400_000,
    "y": 365 * 86_400_000,
}
_RELATIVE = re.compile(r"now(?:-(\d{1,9})([smhdwMy]))?")
_DURATION = re.compile(r"(\d{1,9})(ms|[smhdwMy])")
_LATEST_MS: Final = 4_102_444_800_000  # the year 2100: DateTime ends soon after

# Widths a person reads easily; beyond the last one, whole days.
_NICE_MS: Final = (
    *(1, 2, 5, 10, 20, 50, 100, 200, 500),
    *(1000 * seconds for seconds in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800)),
    *(3_600_000 * hours for hours in (1, 2, 3, 6, 12)),
)


class RangeError(ValueError):
    """A time or interval cannot be read; the message says which and what was expected."""


def moment_ms(text: str, now_ms: int) -> int:
    """Unix milliseconds of ``now``, ``now-15m`` or a number of milliseconds. Raises RangeError."""
    if re.fullmatch(r"\d{1,15}", text):
        return min(int(text), _LATEST_MS)
    match = _RELATIVE.fullmatch(text)
    if match is None:
        raise RangeError(f"time: expected now, now-15m or Unix milliseconds, got {text!r}")
    back = int(match[1]) * _UNITS_MS[match[2]] if match[1] else 0
    return max(now_ms - back, 0)


def between(start: str, end: str, now_ms: int) -> tuple[int, int]:
    """Both ends in Unix milliseconds. Raises RangeError, also where the range is empty."""
    from_ms, to_ms = moment_ms(start, now_ms), moment_ms(end, now_ms)
    if from_ms >= to_ms:
        raise RangeError(f"time: expected `from` before `to`, got {start!r} and {end!r}")
    return from_ms, to_ms


def duration_ms(text: str) -> int:
    """Milliseconds of ``10ms``, ``2s``, ``5m``. Raises RangeError."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise RangeError(f"interval: expected a duration such as 10ms or 2s, got {text!r}")
    return int(match[1]) * _UNITS_MS[match[2]]


def interval_ms(span_ms: int, max_points: int, least_ms: int = 1) -> int:
    """The narrowest readable bucket that cuts the span into at most ``max_points`` pieces."""
    needed = max(span_ms / max(max_points, 1), least_ms, 1)
    for width in _NICE_MS:
        if width >= needed:
            return width
    day = 86_400_000
    return int(-(-needed // day)) * day
