"""Tracks: the rules that all events of one kind pass, made ready so that a calm sample costs little."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from stream.diagnose.forecasts import Forecaster
from stream.diagnose.plans import Plan
from stream.diagnose.series import Series
from stream.diagnose.sheets import Sheet, taker
from stream.diagnose.stops import Stop
from stream.diagnose.unknown import UNKNOWN, Sources, constants, known
from stream.rulelang.tapes import Tape

_TIDY: Final = 64
"""After so many events, and when a track is made, tapes let go of what is too much."""


class Track:
    """The rules of one route. ``names`` are the names of values of its events.

    ``plain``: no rule is among them whose series the event itself names.
    """

    __slots__ = ("_fed", "_passed", "_take", "_tapes", "forecaster", "plain", "sheet", "stops")

    def __init__(self, series: Sequence[tuple[Plan, Series | None]], names: Collection[str]) -> None:
        kept = [(plan, one) for plan, one in series if one is None or not _never(plan, names)]
        self.sheet = Sheet((slot for plan, one in kept if one for slot in plan.program.slots), names)
        self._fed: set[int] = set()
        self._tapes: list[Tape] = []
        self._passed = 0
        self.forecaster = Forecaster()
        self.stops = [self._stop(plan, one) for plan, one in kept if one]
        self.plain = len(self.stops) == len(kept)
        self._take = taker(sorted(self._fed))
        self._tidy()

    def steady(self, sheet: list[Any]) -> bool:
        """Whether all is finite that windows get directly; to be asked once for each sheet."""
        self._passed += 1
        if not self._passed % _TIDY:
            self._tidy()
        total: float = sum(self._take(sheet))
        return total - total == 0.0

    def _tidy(self) -> None:
        for tape in self._tapes:
            tape.tidy()

    def _stop(self, plan: Plan, series: Series) -> Stop:
        program, windows = plan.program, series.windows
        timed = [
            window for window, spec in zip(windows, program.windows, strict=True) if spec.over_s is not None
        ]
        pick = self.sheet.pick(program.slots)
        ahead = pick(self.sheet.ahead())
        where = program.where
        if where is not None and known(where, ahead):
            where = None
        appends = self._appends(plan, series, ahead)
        pushes = []
        if _learns(program.computed, ahead):
            own = zip(plan.own, series.own, strict=True)
            pushes = [window.push for index, window in own if program.windows[index].slot is None]
        flags = {
            slot: None if ahead[slot] is UNKNOWN else bool(ahead[slot])
            for slot, one in enumerate(program.slots)
            if one.kind == "has"
        }
        places = tuple(map(self.sheet.place, program.slots))
        return Stop(
            series, pick, where, program.when, windows, timed, plan.alone, appends, pushes, program.computed,
            places, plan.screen(flags),
        )  # fmt: skip

    def _appends(
        self, plan: Plan, series: Series, ahead: Sequence[Any]
    ) -> list[tuple[Callable[[float], None], int]]:
        """The windows that keep a slot as it is; what such events lack is not finite and never enters."""
        found = []
        for index, window in zip(plan.own, series.own, strict=True):
            slot = plan.program.windows[index].slot
            if slot is not None and ahead[slot] is UNKNOWN:
                place = self.sheet.place(plan.program.slots[slot])
                found.append((window.tape.values.append, place))
                self._fed.add(place)
                self._tapes.append(window.tape)
        return found


def _never(plan: Plan, names: Collection[str]) -> bool:
    """Whether such events are no samples of a rule, because `where` never holds for them."""
    where, sheet = plan.program.where, Sheet(plan.program.slots, names)
    return where is not None and known(where, sheet.pick(plan.program.slots)(sheet.ahead())) is False


def _learns(sources: Sources, ahead: Sequence[Any]) -> bool:
    """Whether such events may bring anything to the rule's windows: what is not finite never enters."""
    values = constants(sources, ahead)
    return values is None or any(value - value == 0.0 for value in values)
