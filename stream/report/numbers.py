"""Numbers and times for people."""

from __future__ import annotations

import json
import math
from datetime import datetime, timezone
from typing import Final

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))


def number(value: float | None, digits: int = 4) -> str:
    """A value in a few digits; what is not finite by its name."""
    if value is None:
        return "unknown"
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "infinity" if value > 0 else "-infinity"
    if value == int(value) and abs(value) < 1e6:
        return f"{int(value):,}"
    return f"{value:.{digits}g}"


def count(value: int, what: str) -> str:
    """``1 step``, ``2,000 steps``."""
    plural = what[:-1] + "ies" if what.endswith("y") else f"{what}s"
    return f"{value:,} {what if value == 1 else plural}"


def seconds(value: float | None) -> str:
    """A stretch of time in at most two units."""
    if value is None:
        return "unknown"
    if abs(value) < 60:
        return f"{value:.3g} s" if abs(value) < 10 else f"{value:.1f} s"
    for place, (size, unit) in enumerate(_UNITS):
        if abs(value) >= size:
            whole = int(value // size)
            less, name = _UNITS[place + 1] if place + 1 < len(_UNITS) else (1, "s")
            rest = int((value - whole * size) // less)
            return f"{whole} {unit} {rest} {name}" if rest else f"{whole} {unit}"
    return f"{value:.1f} s"


def share(part: float, whole: float) -> str:
    """A part in per cent."""
    if whole <= 0:
        return "0 %"
    percent = 100 * part / whole
    return f"{percent:.1f} %" if 0 < percent < 99.95 else f"{percent:.0f} %"


def gpu_hours(gpu_seconds: float | None) -> str:
    """GPU seconds as hours."""
    return "GPU hours unknown" if gpu_seconds is None else f"{gpu_seconds / 3600:.2g} GPU h"


def moment(time_ns: int | None) -> str:
    """A time in UTC, to the millisecond."""
    if time_ns is None:
        return "unknown"
    at = datetime.fromtimestamp(time_ns // 1_000_000_000, timezone.utc)
    return f"{at:%Y-%m-%d %H:%M:%S}.{time_ns // 1_000_000 % 1000:03d}"


def clock(time_ns: int) -> str:
    """The time of day in UTC, to the millisecond."""
    return moment(time_ns)[11:]


def offset(nanoseconds: int) -> str:
    """A time relative to another: ``+0.75 s``."""
    value = nanoseconds / 1e9
    return f"{'+' if value >= 0 else '-'}{seconds(abs(value))}"


def value(found: object) -> str:
    """A value of the evidence, as it was found."""
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
    return number(float(found))


def used(amount: float, name: str) -> str:
    """An amount of a resource in its unit, by its name."""
    if name.endswith("utilization"):
        return f"{100 * amount:.1f} %"
    if name.endswith((".usage", ".bytes")):
        return f"{amount / 2**30:.2f} GiB"
    return f"{amount:.1f} °C" if name.endswith("temperature") else number(amount)
