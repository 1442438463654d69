"""Tracks: the rules that all events of one kind pass, made ready so that a calm sample costs little."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from stream.diagnose.plans import Plan
from stream.diagnose.series import Series
from stream.diagnose.sheets import Pick, Sheet
from stream.diagnose.unknown import Sources, constants, known
from stream.rulelang.windows import Window

Condition = Callable[[Sequence[Any]], bool]
When = Callable[[Sequence[Any], Sequence[Window], Sequence[Any]], bool]


class Stop(NamedTuple):
    """One rule on a track, with all that judging a calm sample needs at hand.

    ``pick`` takes its slots from the sheet; None where the event itself names the series.
    ``timed`` are the windows that forget by time; ``pushes`` are for what ``sources`` gives.
    """

    plan: Plan
    series: Series | None
    pick: Pick | None
    where: Condition | None
    when: When
    windows: Sequence[Window]
    timed: Sequence[Window]
    peers: Sequence[Any]
    pushes: Sequence[Callable[[int, float], None]]
    sources: Sources


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
            return Stop(plan, None, None, None, program.when, (), (), (), (), program.sources)
        windows = series.windows
        timed = [
            window for window, spec in zip(windows, program.windows, strict=True) if spec.over_s is not None
        ]
        pick = self.sheet.pick(program.slots)
        ahead = pick(self.sheet.ahead())
        where = program.where
        if where is not None and known(where, ahead):
            where = None
        pushes = [window.push for window in series.own] if _learns(program.sources, ahead) else []
        return Stop(
            plan, series, pick, where, program.when, windows, timed, plan.alone, pushes, program.sources
        )


def _never(plan: Plan, names: Collection[str]) -> bool:
    """Whether such events are no samples of a rule, because `where` never holds for them."""
    where, sheet = plan.program.where, Sheet(plan.program.slots, names)
    return where is not None and known(where, sheet.pick(plan.program.slots)(sheet.ahead())) is False


def _learns(sources: Sources, ahead: Sequence[Any]) -> bool:
    """Whether such events may bring anything to the rule's windows: what is not finite never enters."""
    values = constants(sources, ahead)
    return values is None or any(value - value == 0.0 for value in values)
