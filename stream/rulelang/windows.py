"""Windows over one series: the last N values or the values of the last T seconds, kept incrementally.

A push only appends to the tape that all windows over the same value share; statistics are brought up to
date when they are asked for, in proportion to what changed since. Each is a function of the values in the
window alone (``ema``: of all values so far), so that asking, saving and restoring change nothing. Values
that are not finite are skipped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from operator import ne
from typing import Any, Final

from stream.rulelang import sorted_values
from stream.rulelang.exact_sums import Sums, Trend
from stream.rulelang.extremes import Extreme
from stream.rulelang.model import WindowSpec
from stream.rulelang.tapes import MAX_SAMPLES as MAX_SAMPLES
from stream.rulelang.tapes import SECOND_NS, Tape

MAX_SECONDS: Final = 86_400.0

_FEW: Final = 16
"""So many values are looked through faster than their extremes are kept."""


class Window:
    """The last values of a tape. Every statistic but ``count``, ``sum`` and ``changes`` of none is NaN."""

    __slots__ = (
        "_changes", "_full", "_highest", "_lowest", "_sorted", "_sums", "_trend", "_values",
        "average", "keep", "tape",
    )  # fmt: skip

    def __init__(self, spec: WindowSpec, tape: Tape, index: int = 0) -> None:
        """The window of this spec, the one with this index among those of the tape."""
        self.tape = tape
        self._values = tape.values
        self.keep = spec.last or MAX_SAMPLES
        self._full = float(self.keep)
        self.average = tape.averages[index]
        self._sorted: sorted_values.Sorted | None = None
        self._lowest: Extreme | None = None
        self._highest: Extreme | None = None
        self._sums: Sums | None = None
        self._trend: Trend | None = None
        self._changes: tuple[int, int, int] | None = None

    @property
    def push(self) -> Callable[[int, float], None]:
        """Append a value, with its time, to the tape."""
        return self.tape.push

    def expire(self, now_ns: int) -> None:
        """Forget what is older than the window's duration at this time."""

    def save(self) -> dict[str, Any]:
        """What makes the tape: plain lists and numbers."""
        return self.tape.save()

    def load(self, saved: Mapping[str, Any]) -> None:
        """Become what ``save`` of a window of the same spec gave; for a window nothing was pushed to."""
        self.tape.load(saved)

    def _first(self) -> int:
        """The number of the oldest value in the window."""
        values = self._values
        return self.tape.base + (len(values) - self.keep if len(values) > self.keep else 0)

    def count(self) -> float:
        held = len(self._values)
        return self._full if held >= self.keep else float(held)

    def first(self) -> float:
        values = self._values
        if len(values) >= self.keep:
            return values[-self.keep]
        return values[0] if values else math.nan

    def last(self) -> float:
        values = self._values
        return values[-1] if values else math.nan

    def delta(self) -> float:
        return self.last() - self.first()

    def rate(self) -> float:
        """Change per second between oldest and newest; NaN where no time passed between them."""
        values, times = self._values, self.tape.times
        first = self._first() - self.tape.base
        if times is None or first >= len(times) - 1:
            return math.nan
        passed = times[-1] - times[first]
        return (values[-1] - values[first]) / (passed / SECOND_NS) if passed else math.nan

    def changes(self) -> float:
        """How many values differ from the one before them."""
        begin, base, values = self._first(), self.tape.base, self._values
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
        return math.nan if self.average is None else self.average.value

    def slope(self) -> float:
        """Least squares: change per sample, or per second for a window over time; NaN of fewer than two."""
        return self._line(None).slope()

    def _line(self, places: Sequence[int] | None) -> Trend:
        trend = self._trend = self._trend or Trend()
        base = self.tape.base
        trend.sync(self._values, places, base, self._first(), base + len(self._values))
        return trend

    def sum(self) -> float:
        return self._summed().sum()

    def mean(self) -> float:
        return self._summed().mean()

    def std(self) -> float:
        return self._summed(squared=True).std()

    def _summed(self, squared: bool = False) -> Sums:
        sums, base, begin = self._sums, self.tape.base, self._first()
        if sums is None:
            sums = self._sums = Sums()
        if squared and not sums.squared:
            sums.squared = True
            sums.restart(begin)
        sums.sync(self._values, base, begin, base + len(self._values))
        return sums

    def min(self) -> float:
        if self.keep <= _FEW:
            return min(self._values[-self.keep :], default=math.nan) + 0.0
        if self._lowest is None:
            self._lowest = Extreme(min)
        return self._extreme(self._lowest)

    def max(self) -> float:
        if self.keep <= _FEW:
            return max(self._values[-self.keep :], default=math.nan) + 0.0
        if self._highest is None:
            self._highest = Extreme(max)
        return self._extreme(self._highest)

    def _extreme(self, extreme: Extreme) -> float:
        base, values = self.tape.base, self._values
        return extreme.of(values, base, self._first(), base + len(values))

    def ordered(self) -> list[float]:
        values, base, begin = self._values, self.tape.base, self._first()
        end = base + len(values)
        order = self._sorted
        if order is None:
            order = self._sorted = sorted_values.Sorted()
        elif order.end == end and order.begin == begin:
            return order.items
        return order.sync(values, base, begin, end)

    def median(self) -> float:
        return sorted_values.median(self.ordered())

    def mad(self) -> float:
        return sorted_values.mad(self.ordered())

    def quantile(self, share: float) -> float:
        return sorted_values.quantile(self.ordered(), share)


class Span(Window):
    """The values of the last seconds. It has a tape for itself, which forgets as it does."""

    __slots__ = ("_over_ns",)

    def __init__(self, spec: WindowSpec, tape: Tape, index: int = 0) -> None:
        super().__init__(spec, tape, index)
        self._over_ns = round((spec.over_s or 0.0) * SECOND_NS)

    def expire(self, now_ns: int) -> None:
        self.tape.expire(now_ns - self._over_ns)

    def _first(self) -> int:
        return self.tape.first()

    def count(self) -> float:
        tape = self.tape
        return float(tape.base + len(tape.values) - tape.first())

    def first(self) -> float:
        return self._values[self.tape.first() - self.tape.base] if self.count() else math.nan

    def last(self) -> float:
        return self._values[-1] if self.count() else math.nan

    def slope(self) -> float:
        return self._line(self.tape.times).slope(SECOND_NS)


def make(specs: Sequence[WindowSpec]) -> list[Window]:
    """Windows of these specs, in their order; some share a tape."""
    places = shared(specs)
    tapes = {place: Tape([specs[index] for index in group]) for place, group in places.items()}
    found: dict[int, Window] = {}
    for place, group in places.items():
        for number, index in enumerate(group):
            kind = Window if specs[index].over_s is None else Span
            found[index] = kind(specs[index], tapes[place], number)
    return [found[index] for index in range(len(specs))]


def shared(specs: Sequence[WindowSpec]) -> dict[int, list[int]]:
    """The places of windows that share a tape, having the very same source, by the place of the first."""
    groups: dict[Any, list[int]] = {}
    for index, spec in enumerate(specs):
        alone = spec.over_s is not None or spec.event is not None
        groups.setdefault(index if alone else spec.source, []).append(index)
    return {group[0]: group for group in groups.values()}
