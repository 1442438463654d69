"""Tapes: what was pushed of one value, kept once for all windows that look back on it.

A value that is not finite is skipped. Values have numbers from 0 in the order in which they came.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from stream.rulelang.averages import Decay, Smooth
from stream.rulelang.functions import EMA, TIMES
from stream.rulelang.model import WindowSpec

MAX_SAMPLES: Final = 10_000
"""The most values any tape keeps; one for an ``over=`` window drops its oldest beyond that."""
SECOND_NS: Final = 1_000_000_000

_SPARE: Final = 32
_OVER: Final = 512
"""So many values that count no more are let go of at once: few for a long tape, yet seldom."""


class Tape:
    """The latest values, as many as the longest of these windows holds.

    ``values`` begins with number ``base``; ``times`` are theirs, None where nobody asks for them. What has
    a number below ``begin`` was forgotten by time. ``averages`` are those of the windows, in their order.
    ``push(time_ns, value)`` appends a value. ``plain``: that is all it does.
    """

    __slots__ = ("_most", "averages", "base", "begin", "keep", "plain", "push", "times", "values")

    def __init__(self, specs: Sequence[WindowSpec]) -> None:
        self.keep = max(spec.last or MAX_SAMPLES for spec in specs)
        self._most = self.keep + min(self.keep, _OVER) + _SPARE
        timed = any(TIMES in spec.needs or spec.over_s is not None for spec in specs)
        # An array: a quarter of the memory of a list, and nothing to free one by one.
        self.values: array[float] = array("d")
        self.times: list[int] | None = [] if timed else None
        self.averages = [average(spec) if EMA in spec.needs else None for spec in specs]
        self.base = self.begin = 0
        self.plain = self.times is None and not any(self.averages)
        self.push: Callable[[int, float], None] = self._quick_push() if self.plain else self._push

    def tidy(self) -> None:
        """Let go of what is too much: for who appends finite values to ``values`` directly."""
        if len(self.values) >= self._most:
            self.trim()

    def extend(self, values: Sequence[float], known: Sequence[Smooth] = ()) -> None:
        """Append finite values, of a tape that needs no times. ``known``: averages that have had them."""
        if not self.plain:
            for one in self.averages:
                if isinstance(one, Smooth) and one not in known:
                    one.extend(values)
        self.values.extend(array("d", values))
        if len(self.values) >= self._most:
            self.trim()

    def _quick_push(self) -> Callable[[int, float], None]:
        values, trim = self.values, self.trim
        append, most = values.append, self._most

        def push(_time_ns: int, value: float) -> None:
            if value - value == 0.0:
                append(value)
                if len(values) >= most:
                    trim()

        return push

    def _push(self, time_ns: int, value: float) -> None:
        if value - value != 0.0:
            return
        self.values.append(value)
        if self.times is not None:
            self.times.append(time_ns)
        for one in self.averages:
            if one is not None:
                one.push(time_ns, value)
        if len(self.values) >= self._most:
            self.trim()

    def expire(self, limit_ns: int) -> None:
        """Forget what is as old as this or older."""
        times = self.times or ()
        start = first = self.begin - self.base
        while first < len(times) and times[first] <= limit_ns:
            first += 1
        if first > start:
            self.begin = self.base + first
            if 2 * first > len(times) + _SPARE:
                self.trim()

    def first(self) -> int:
        """The number of the oldest value that counts."""
        return max(self.begin, self.base + len(self.values) - self.keep)

    def trim(self) -> None:
        """Let go of what counts no more, but for a few that a sorted copy may not know of yet."""
        self.begin = begin = self.first()
        cut = begin - self.base - _SPARE // 4
        if cut > 0:
            self.base += cut
            del self.values[:cut]
            if self.times is not None:
                del self.times[:cut]

    def save(self) -> dict[str, Any]:
        """What makes the tape: plain lists and numbers."""
        start = self.first() - self.base
        saved: dict[str, Any] = {"values": self.values[start:].tolist()}
        if self.times is not None:
            saved["times"] = self.times[start:]
        averages = [one.save() for one in self.averages if one is not None]
        if averages:
            saved["averages"] = averages
        return saved

    def load(self, saved: Mapping[str, Any]) -> None:
        """Become what ``save`` of a tape for the same windows gave; for one that nothing was pushed to."""
        self.values.extend(saved["values"])
        if self.times is not None:
            self.times.extend(saved["times"])
        averages = (one for one in self.averages if one is not None)
        for one, state in zip(averages, saved.get("averages", ()), strict=True):
            one.load(state)


def average(spec: WindowSpec) -> Smooth | Decay:
    """The exponential average that goes with such a window."""
    return Smooth(spec.last or MAX_SAMPLES) if spec.over_s is None else Decay(spec.over_s)
