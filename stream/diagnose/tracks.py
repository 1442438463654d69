"""Tracks: the rules that all events of one kind pass, made ready so that a calm sample costs little."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from stream.diagnose.plans import Plan
from stream.diagnose.series import Series, Source
from stream.diagnose.sheets import Pick, Sheet
from stream.diagnose.unknown import constant, known
from stream.rulelang.windows import Window

Condition = Callable[[Sequence[Any]], bool]
When = Callable[[Sequence[Any], Sequence[Window], Sequence[Any]], bool]


class Stop(NamedTuple):
    """One rule on a track, with all that judging a calm sample needs at hand.

    ``pick`` takes its slots from the sheet; None where the event itself names the series.
    ``timed`` are the windows that forget by time; ``own`` pushes and sources of those that learn, the
    computed ones before the ones they are computed from, so that each source sees the past.
    """

    plan: Plan
    series: Series | None
    pick: Pick | None
    where: Condition | None
    when: When
    windows: Sequence[Window]
    timed: Sequence[Window]
    peers: Sequence[Any]
    own: Sequence[tuple[Callable[[int, float], None], Source]]


class Track:
    """The rules of one route. ``names`` are the names of values of its events."""

    __slots__ = ("sheet", "stops")

    def __init__(self, series: Sequence[tuple[Plan, Series | None]], names: Collection[str]) -> None:
        kept = [(plan, one) for plan, one in series if one is None or not _never(plan, names)]
        self.sheet = Sheet((slot for plan, one in kept if one for slot in plan.program.slots), names)
        self.stops = [self._stop(plan, one) for plan, one in kept]

    def _stop(self, plan: Plan, series: Series | None) -> Stop:
        program = plan.program
        if series is None:
            return Stop(plan, None, None, program.where, program.when, (), (), (), ())
        windows = series.windows
        timed = [
            window for window, spec in zip(windows, program.windows, strict=True) if spec.over_s is not None
        ]
        pick = self.sheet.pick(program.slots)
        ahead = pick(self.sheet.ahead())
        where = program.where
        if where is not None and known(where, ahead):
            where = None
        own = [(window.push, source) for window, source in reversed(series.own) if _learns(source, ahead)]
        return Stop(plan, series, pick, where, program.when, windows, timed, plan.alone, own)


def _never(plan: Plan, names: Collection[str]) -> bool:
    """Whether such events are no samples of a rule, because `where` never holds for them."""
    where, sheet = plan.program.where, Sheet(plan.program.slots, names)
    return where is not None and known(where, sheet.pick(plan.program.slots)(sheet.ahead())) is False


def _learns(source: Source, ahead: Sequence[Any]) -> bool:
    """Whether a window may get anything from such events: one that is not finite never enters."""
    value = constant(source, ahead)
    return value is None or value - value == 0.0
