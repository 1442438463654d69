"""Windows over one series: the last N values or the values of the last T seconds, kept incrementally.

A push only appends; statistics are brought up to date when they are asked for, in proportion to what
changed since. Each is a function of the values in the window alone (``ema``: of all values so far), so
that asking, saving and restoring change nothing. Values that are not finite are skipped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from operator import ne
from typing import Any, Final

from stream.rulelang import sorted_values
from stream.rulelang.averages import Decay, Smooth
from stream.rulelang.exact_sums import Sums, Trend
from stream.rulelang.functions import EMA, TIMES
from stream.rulelang.model import WindowSpec

MAX_SAMPLES: Final = 10_000
"""The most values any window holds; an ``over=`` window drops its oldest beyond that."""
MAX_SECONDS: Final = 86_400.0

_SPARE: Final = 32
_SECOND_NS: Final = 1_000_000_000


class Window:
    """The values of one window. Every statistic but ``count``, ``sum`` and ``changes`` of none is NaN.

    ``push(time_ns, value)`` appends a value and skips one that is not finite.
    """

    __slots__ = (
        "_average", "_base", "_begin", "_changes", "_keep", "_over_ns", "_sorted", "_sums", "_times",
        "_trend", "_values", "push",
    )  # fmt: skip

    def __init__(self, spec: WindowSpec) -> None:
        self._over_ns = None if spec.over_s is None else round(spec.over_s * _SECOND_NS)
        self._keep = spec.last or MAX_SAMPLES
        self._values: list[float] = []
        self._times: list[int] | None = [] if TIMES in spec.needs or self._over_ns is not None else None
        self._average = _average(spec) if EMA in spec.needs else None
        # Values have numbers from 0; _values begins with number _base, the window with number _begin.
        self._base = self._begin = 0
        self._sorted: sorted_values.Sorted | None = None
        self._sums: Sums | None = None
        self._trend: Trend | None = None
        self._changes: tuple[int, int, int] | None = None
        plain = self._times is None and self._average is None
        self.push: Callable[[int, float], None] = self._quick_push() if plain else self._push

    def _quick_push(self) -> Callable[[int, float], None]:
        values, trim = self._values, self._trim
        append, most = values.append, 2 * self._keep + _SPARE

        def push(_time_ns: int, value: float) -> None:
            if value - value == 0.0:
                append(value)
                if len(values) >= most:
                    trim()

        return push

    def _push(self, time_ns: int, value: float) -> None:
        if value - value != 0.0:
            return
        values = self._values
        values.append(value)
        if self._times is not None:
            self._times.append(time_ns)
        if self._average is not None:
            self._average.push(time_ns, value)
        if len(values) >= 2 * self._keep + _SPARE:
            self._trim()

    def expire(self, now_ns: int) -> None:
        """Forget what is older than the window's duration at this time."""
        if self._over_ns is None or self._times is None:
            return
        times, limit = self._times, now_ns - self._over_ns
        start = first = self._begin - self._base
        while first < len(times) and times[first] <= limit:
            first += 1
        if first > start:
            self._begin = self._base + first
            if 2 * first > len(times) + _SPARE:
                self._trim()

    def _first(self) -> int:
        """The number of the oldest value in the window."""
        first = self._base + len(self._values) - self._keep
        return first if first > self._begin else self._begin

    def _trim(self) -> None:
        """Let go of values that left the window, but for a few that the sorted copy may not know of yet."""
        self._begin = self._first()
        cut = self._begin - self._base - _SPARE // 4
        if cut > 0:
            self._base += cut
            del self._values[:cut]
            if self._times is not None:
                del self._times[:cut]

    def save(self) -> dict[str, Any]:
        """What makes the window: plain lists and numbers."""
        start = self._first() - self._base
        saved: dict[str, Any] = {"values": self._values[start:]}
        if self._times is not None:
            saved["times"] = self._times[start:]
        if self._average is not None:
            saved["average"] = self._average.save()
        return saved

    def load(self, saved: Mapping[str, Any]) -> None:
        """Become what ``save`` of a window of the same spec gave; for a window nothing was pushed to."""
        self._values.extend(saved["values"])
        if self._times is not None:
            self._times.extend(saved["times"])
        if self._average is not None:
            self._average.load(saved["average"])

    def count(self) -> float:
        held = self._base + len(self._values) - self._begin
        return float(held if held < self._keep else self._keep)

    def first(self) -> float:
        first = self._first() - self._base
        return self._values[first] if first < len(self._values) else math.nan

    def last(self) -> float:
        values = self._values
        return values[-1] if self._begin < self._base + len(values) else math.nan

    def delta(self) -> float:
        return self._values[-1] - self._values[self._first() - self._base] if self.count() else math.nan

    def rate(self) -> float:
        """Change per second between oldest and newest; NaN where no time passed between them."""
        first = self._first() - self._base
        if self._times is None or first >= len(self._times) - 1:
            return math.nan
        passed = self._times[-1] - self._times[first]
        return (self._values[-1] - self._values[first]) / (passed / _SECOND_NS) if passed else math.nan

    def changes(self) -> float:
        """How many values differ from the one before them."""
        begin, base, values = self._first(), self._base, self._values
        end = base + len(values)
        known = self._changes
        if known is None or known[0] < base or known[1] <= begin:
            found = sum(map(ne, values[begin - base + 1 :], values[begin - base :]))
        else:
            old, seen, found = known
            found -= sum(map(ne, values[old - base + 1 : begin - base + 1], values[old - base :]))
            found += sum(map(ne, values[seen - base :], values[seen - base - 1 :]))
        self._changes = (begin, end, found)
        return float(found)

    def ema(self) -> float:
        """Exponential average of all values so far (averages.py)."""
        return math.nan if self._average is None else self._average.value

    def slope(self) -> float:
        """Least squares: change per sample, or per second for a window over time; NaN of fewer than two."""
        trend = self._trend = self._trend or Trend()
        timed = self._over_ns is not None
        end = self._base + len(self._values)
        trend.sync(self._values, self._times if timed else None, self._base, self._first(), end)
        return trend.slope(_SECOND_NS if timed else 1)

    def sum(self) -> float:
        return self._summed().sum()

    def mean(self) -> float:
        return self._summed().mean()

    def std(self) -> float:
        return self._summed(squared=True).std()

    def _summed(self, squared: bool = False) -> Sums:
        sums = self._sums
        if sums is None:
            sums = self._sums = Sums()
        if squared and not sums.squared:
            sums.squared = True
            sums.restart(self._first())
        sums.sync(self._values, self._base, self._first(), self._base + len(self._values))
        return sums

    def _ordered(self) -> list[float]:
        values, base = self._values, self._base
        end = base + len(values)
        begin = max(self._begin, end - self._keep)
        order = self._sorted
        if order is None:
            order = self._sorted = sorted_values.Sorted()
        elif order.end == end and order.begin == begin:
            return order.items
        return order.sync(values, base, begin, end)

    def min(self) -> float:
        return sorted_values.smallest(self._ordered())

    def max(self) -> float:
        return sorted_values.largest(self._ordered())

    def median(self) -> float:
        return sorted_values.median(self._ordered())

    def mad(self) -> float:
        return sorted_values.mad(self._ordered())

    def quantile(self, share: float) -> float:
        return sorted_values.quantile(self._ordered(), share)


def _average(spec: WindowSpec) -> Smooth | Decay:
    if spec.over_s is None:
        return Smooth(spec.last or MAX_SAMPLES)
    return Decay(spec.over_s)
