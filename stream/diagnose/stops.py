"""Stops: where the events of a track meet one rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from stream.diagnose.screens import Screen
from stream.diagnose.series import Series
from stream.diagnose.sheets import Pick
from stream.diagnose.unknown import Sources
from stream.rulelang.windows import Window

Condition = Callable[[Sequence[Any]], bool]
When = Callable[[Sequence[Any], Sequence[Window], Sequence[Any]], bool]


class Stop(NamedTuple):
    """One rule on a track, with all that judging a calm sample needs at hand.

    ``pick`` takes its slots from the sheet. ``timed`` are the windows that forget by time; ``appends`` those
    that keep what stands at a place of the sheet, ``pushes`` those that get what ``computed`` gives.
    ``places``: where its slots stand on the sheet.
    """

    series: Series
    pick: Pick
    where: Condition | None
    when: When
    windows: Sequence[Window]
    timed: Sequence[Window]
    peers: Sequence[Any]
    appends: Sequence[tuple[Callable[[float], None], int]]
    pushes: Sequence[Callable[[int, float], None]]
    computed: Sources
    places: Sequence[int]
    screen: Screen
