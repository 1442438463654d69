"""Forecasts: which rules stay calm over the samples to come, whatever these are within bounds.

A screen answers for every sequence of so many samples within its bounds, so it is asked once for several
stretches: for bounds a little wider than what came lately. What it said of a rule holds until the rule learns
from a sample that was judged otherwise.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from operator import ge, le
from typing import Any, Final

from stream.diagnose.screens import View
from stream.diagnose.series import Series
from stream.diagnose.stops import Stop
from stream.rulelang.bounds import Case
from stream.rulelang.learning import Lesson

AHEAD: Final = 16
"""For so many stretches like the present one, more or less."""
LEAST: Final = 128
"""And for no fewer samples than these."""
WIDER: Final = 0.25
"""The bounds lie so far outside of what was seen, as a share of its range: of what only grows, all of it."""
_DOUBTED: Final = 8
"""After a forecast that was of no use, so many stretches pass without one."""


class Forecast:
    """``lessons``: what is foreseen of which series: what it learns, None where nothing is a sample.

    ``low`` and ``high`` are bounds as in a Case.
    """

    __slots__ = ("_blank", "_left", "_limits", "_untidy", "lessons", "used")

    def __init__(self, low: Sequence[Any], high: Sequence[Any], ahead: int) -> None:
        self._left = ahead
        places = [place for place, least in enumerate(low) if least is not None]
        self._limits = [(place, low[place], high[place]) for place in places if low[place] <= high[place]]
        self._blank = [place for place in places if low[place] > high[place]]
        self._untidy = 0
        self.lessons: dict[Series, Lesson | None] = {}
        self.used = 0

    def covers(self, low: Sequence[Any], high: Sequence[Any], size: int) -> bool:
        """Whether it holds for so many samples within these bounds; they come next."""
        if size > self._left:
            return False
        for place, least, most in self._limits:
            if not least <= low[place] <= high[place] <= most:
                return False
        if any(low[place] <= high[place] for place in self._blank):
            return False
        self._left -= size
        self.used += 1
        self._untidy += size
        if self._untidy >= LEAST:
            self._untidy = 0
            self._tidy()
        return True

    def _tidy(self) -> None:
        """Let the tapes go of what is too much."""
        for lesson in self.lessons.values():
            if lesson is not None:
                for tape in lesson.tapes:
                    tape.tidy()


class Forecaster:
    """The forecasts of one track, one after the other."""

    __slots__ = ("_now", "_passing", "_recent")

    def __init__(self) -> None:
        self._now: Forecast | None = None
        self._recent: deque[tuple[list[Any], list[Any]]] = deque(maxlen=AHEAD)
        self._passing = 0

    def of(self, stops: Sequence[Stop], low: list[Any], high: list[Any], size: int) -> Forecast | None:
        """What is foreseen of so many samples within these bounds, which come next."""
        now = self._now
        self._recent.append((low, high))
        if now is not None:
            if now.covers(low, high, size):
                return now
            self._now = None
            self._passing = 0 if now.used > 1 else _DOUBTED
        if self._passing:
            self._passing -= 1
            return None
        found = self._now = self._made(stops, size)
        return found if found.covers(low, high, size) else None

    def _made(self, stops: Sequence[Stop], size: int) -> Forecast:
        lows, highs = zip(*self._recent, strict=True)
        bounds = list(map(_wider, zip(*lows, strict=True), zip(*highs, strict=True)))
        low, high = [least for least, _ in bounds], [most for _, most in bounds]
        ahead = max(LEAST, AHEAD * size)
        found = Forecast(low, high, ahead)
        for stop in stops:
            series, screen = stop.series, stop.screen
            if screen.usable and series.first is None and not series.plan.feeders:
                case = Case(stop.places, low, high, series.windows, ahead)
                view = screen.view(case)
                if view is not View.UNSURE:
                    calm = view is View.CALM
                    found.lessons[series] = screen.ahead(case, series.windows) if calm else None
                    series.foreseen = found
        return found


def _wider(low: Sequence[Any], high: Sequence[Any]) -> tuple[Any, Any]:
    """Bounds for a column that had these bounds lately, stretch by stretch."""
    if low[0] is None:
        return None, None
    least, most = min(low), max(high)
    if isinstance(least, bool) or least > most:
        return least, most
    grows = all(map(le, high, low[1:])) or all(map(ge, low, high[1:]))
    room = (most - least) * (1.0 if grows else WIDER)
    return least - room, most + room
