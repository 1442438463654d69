"""What a statistic of a window can be while values within bounds are still pushed: intervals that hold.

``ahead`` is how many values may come at most, each in [low, high]; the answer holds before, between and
after them (while fewer than all have come, too). An interval with low > high says that there is no number,
which makes every comparison false.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from stream.rulelang.windows import Span, Window

Interval = tuple[float, float]

ANY: Final[Interval] = (-math.inf, math.inf)
NONE: Final[Interval] = (math.inf, -math.inf)
_LOOK: Final = 128
"""So many of the newest values are looked through for an extreme that stays."""
_FEW: Final = 4
"""So many values held for each that comes are looked through faster than their extremes are kept."""


class Coming(NamedTuple):
    """At most ``ahead`` values, each in [low, high], will be pushed."""

    ahead: int
    low: float
    high: float


Outlook = Callable[[Window, Coming], Interval]


def wider(low: float, high: float) -> Interval:
    """The interval with room for rounding: many times the errors of a few hundred operations."""
    if low > high:
        return NONE
    room = 1e-11 * max(abs(low), abs(high))
    return (low - room, high + room) if room < math.inf else ANY


def of(function: str, share: float | None) -> Outlook | None:
    """The outlook of a window function; None where nothing is known."""
    if function == "quantile" and share is not None:
        return lambda window, coming: _quantile(window, coming, share)
    return _OUTLOOKS.get(function)


def _held(window: Window) -> int:
    return min(len(window.tape.values), window.keep)


def _leaving(window: Window, coming: Coming) -> int:
    """How many of the present values may leave."""
    return max(0, _held(window) + coming.ahead - window.keep)


def _exactly(value: float) -> Interval:
    return (value, value) if value == value else NONE


def _count(window: Window, coming: Coming) -> Interval:
    held = _held(window)
    return float(held), float(min(held + coming.ahead, window.keep))


def _last(window: Window, coming: Coming) -> Interval:
    values = window.tape.values
    if not values:
        return coming.low, coming.high
    return min(values[-1], coming.low), max(values[-1], coming.high)


def _first(window: Window, coming: Coming) -> Interval:
    values, held, leaving = window.tape.values, _held(window), _leaving(window, coming)
    if not held:
        return coming.low, coming.high
    begin = len(values) - held
    some = values[begin : begin + leaving + 1]
    low, high = min(some), max(some)
    if leaving < held:
        return low, high
    return min(low, coming.low), max(high, coming.high)


def _staying(window: Window, coming: Coming) -> Sequence[float]:
    """Some of the values that are in the window all the time."""
    values, held, leaving = window.tape.values, _held(window), _leaving(window, coming)
    return values[max(len(values) - held + leaving, len(values) - _LOOK) :] if leaving < held else []


def _min(window: Window, coming: Coming) -> Interval:
    if not _held(window):
        return coming.low, coming.high
    now = _least(window, coming)
    most = now if not _leaving(window, coming) else min(_staying(window, coming), default=coming.high)
    if most < now:
        most = now
    return min(now, coming.low), most


def _max(window: Window, coming: Coming) -> Interval:
    if not _held(window):
        return coming.low, coming.high
    now = _most(window, coming)
    least = now if not _leaving(window, coming) else max(_staying(window, coming), default=coming.low)
    return min(least, now), max(now, coming.high)


def _hull(window: Window, coming: Coming) -> Interval:
    """Between the smallest and the largest of all values that are or come into the window."""
    if not _held(window):
        return coming.low, coming.high
    return min(_least(window, coming), coming.low), max(_most(window, coming), coming.high)


def _least(window: Window, coming: Coming) -> float:
    """The smallest value now; keeping it up to date costs more than a look through a few."""
    held = _held(window)
    return min(window.tape.values[-held:]) if held <= _FEW * coming.ahead else window.min()


def _most(window: Window, coming: Coming) -> float:
    """The largest value now."""
    held = _held(window)
    return max(window.tape.values[-held:]) if held <= _FEW * coming.ahead else window.max()


def _median(window: Window, coming: Coming) -> Interval:
    held = _held(window)
    if held < window.keep:
        return _hull(window, coming)
    items = window.ordered()
    return _place(items, (held - 1) >> 1, coming)[0], _place(items, held >> 1, coming)[1]


def _quantile(window: Window, coming: Coming, share: float) -> Interval:
    held = _held(window)
    if held < window.keep:
        return wider(*_hull(window, coming))
    items = window.ordered()
    below = int(share * (held - 1))
    above = min(below + 1, held - 1)
    return wider(_place(items, below, coming)[0], _place(items, above, coming)[1])


def _place(items: list[float], place: int, coming: Coming) -> Interval:
    """A full window's value at this place of its order: each that comes moves it by one place at most."""
    value, ahead = items[place], coming.ahead
    low, high = min(value, coming.low), max(value, coming.high)
    if place >= ahead:
        low = max(low, items[place - ahead])
    if place + ahead < len(items):
        high = min(high, items[place + ahead])
    return low, high


def _mad(window: Window, coming: Coming) -> Interval:
    low, high = _hull(window, coming)
    return (0.0, high - low) if low <= high else NONE


def _std(window: Window, coming: Coming) -> Interval:
    low, high = _hull(window, coming)
    return (0.0, wider(0.0, (high - low) / 2.0)[1]) if low <= high else NONE


def _sum(window: Window, coming: Coming) -> Interval:
    low, high = _hull(window, coming)
    if low > high:
        return 0.0, 0.0
    few, many = _count(window, coming)
    return wider(min(few * low, many * low), max(few * high, many * high))


def _mean(window: Window, coming: Coming) -> Interval:
    held, leaving = _held(window), _leaving(window, coming)
    if not held:
        return coming.low, coming.high
    if leaving and (held < window.keep or leaving >= held):
        return _hull(window, coming)
    values = window.tape.values
    some = values[len(values) - held :]
    # Plain sums of floats are many times cheaper than the exact ones, which would have to learn all that
    # came since; they are off by less than held * 2**-53 of the sum of magnitudes: well inside the room.
    now, size = sum(some) / held, min(some)
    size = abs(now) if size >= 0 else max(-size, abs(max(some)))
    least, most = min(now, coming.low), max(now, coming.high)
    if leaving:
        gone = some[:leaving]
        least = now + min(0.0, leaving * (coming.low - max(gone)) / held)
        most = now + max(0.0, leaving * (coming.high - min(gone)) / held)
    room = 1e-11 * max(size, abs(least), abs(most))
    return (least - room, most + room) if room < math.inf else ANY


def _ema(window: Window, coming: Coming) -> Interval:
    now = window.ema()
    if now != now:
        return wider(coming.low, coming.high)
    return wider(min(now, coming.low), max(now, coming.high))


def _delta(window: Window, coming: Coming) -> Interval:
    first, last = _first(window, coming), _last(window, coming)
    low, high = last[0] - first[1], last[1] - first[0]
    return (low, high) if low <= high else ANY


def _changes(window: Window, coming: Coming) -> Interval:
    return 0.0, float(window.keep)


_OUTLOOKS: Final[dict[str, Outlook]] = {
    "count": _count, "first": _first, "last": _last, "min": _min, "max": _max, "median": _median,
    "mad": _mad, "std": _std, "sum": _sum, "mean": _mean, "ema": _ema, "delta": _delta,
    "changes": _changes,
}  # fmt: skip


def ready(window: Window) -> bool:
    """Whether anything can be said ahead: windows by time forget as it passes."""
    return not isinstance(window, Span)
