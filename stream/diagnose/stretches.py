"""Stretches: events of one kind from one emitter, one right after the other, judged rule by rule.

Most rules are calm over most stretches, which their screens see without looking at each sample, and as a rule
see ahead (forecasts); those rules learn the whole stretch at once and say nothing. The others are judged
sample by sample, in the order of events and rules, so that what comes out is what judging each event by each
rule gives.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from stream.diagnose.screens import View
from stream.diagnose.stops import Stop
from stream.diagnose.tracks import Track
from stream.events import Event, Resource
from stream.rulelang.bounds import Case

SHORTEST: Final = 5
"""Fewer events are judged faster one by one."""
SIZES: Final = (512, 128, 32)
"""So many are looked at together; where a screen is unsure, fewer, and in the end each."""

One = Callable[[Event, Sequence[Stop], Sequence[Any]], None]
"""Judges one event by these stops, given what their slots read; without stops only what is not a rule's."""


class Rest(Protocol):
    """What events bring about besides the judgement of samples."""

    def before(self, event: Event) -> None:
        """An event is about to be judged."""
        ...

    def after(self, event: Event) -> None:
        """An event was judged."""
        ...

    def calm(self, events: Sequence[Event]) -> bool:
        """Events of which no rule says anything; False, and nothing done, where each has to be told alone."""
        ...


Many = Callable[[int, int], None]
"""Takes the events from one place to another, over which every rule is calm."""


class Stretch:
    """``events`` of a track; ``columns`` is what its sheet reads of them."""

    def __init__(self, track: Track, events: Sequence[Event], columns: Sequence[Sequence[Any]]) -> None:
        self._track = track
        self._events = events
        self._columns = columns
        self._times = [event.time for event in events]

    def judge(self, one: One, many: Many) -> None:
        """Go through the events in order."""
        self._parts(0, len(self._events), 0, self._track.stops, one, many)

    def _parts(
        self, begin: int, end: int, depth: int, stops: Sequence[Stop], one: One, many: Many
    ) -> None:  # fmt: skip
        if depth == len(SIZES):
            columns = [column[begin:end] for column in self._columns]
            for event, row in zip(self._events[begin:end], zip(*columns, strict=True), strict=True):
                one(event, stops, row)
            return
        size = SIZES[depth]
        if depth and end - begin <= size:
            self._parts(begin, end, depth + 1, stops, one, many)
            return
        for first in range(begin, end, size):
            last = min(first + size, end)
            unsure = self._screened(first, last, stops)
            if unsure:
                self._parts(first, last, depth + 1, unsure, one, many)
            else:
                many(first, last)

    def _screened(self, begin: int, end: int, stops: Sequence[Stop]) -> list[Stop]:
        """The rules that have to look at each sample; the others have learnt these."""
        columns, times = self._columns, self._times
        if end - begin < len(times):
            columns, times = [column[begin:end] for column in columns], times[begin:end]
        low, high = self._track.sheet.extremes(columns)
        forecast = None
        if stops is self._track.stops:  # a part of a stretch is judged by what its screens say of that part
            forecast = self._track.forecaster.of(stops, low, high, end - begin)
        unsure = []
        arrays: dict[int, array[float]] = {}
        for stop in stops:
            series, screen = stop.series, stop.screen
            if not screen.usable or series.first is not None:
                unsure.append(stop)
                continue
            places, windows = stop.places, series.windows
            some = None
            if forecast is not None and series.foreseen is forecast:
                lesson = forecast.lessons[series]
                if lesson is None:
                    continue
                lesson.learn(columns, len(times), arrays)
                some = lesson.rest
                if not some:
                    continue
            case = Case(places, low, high, windows, len(times) - 1, columns)
            if some is None:
                series.foreseen = None
                view = screen.view(case)
                if view is View.UNSURE:
                    unsure.append(stop)
                if view is not View.CALM:
                    continue
            screen.learn(case, windows, [columns[place] for place in places], times, some)
        return unsure


def stretch(
    track: Track, events: Sequence[Event], values: Sequence[Sequence[Any]], resource: Resource
) -> Stretch | None:
    """These events as a stretch, None where they have to be judged one by one.

    ``values``: the columns of all their values, in the order of their names.
    """
    if not track.plain:
        return None
    columns = track.sheet.columns(events, values, resource)
    if columns is None or (track.stops and not columns):
        return None
    return Stretch(track, events, columns)
