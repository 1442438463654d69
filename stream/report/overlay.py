"""Several series by step over each other, as what an SVG needs. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from stream.report.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Tick, log_scale, scale
from stream.report.numbers import number

_BUCKETS: Final = 400
_TICKS: Final = 6


@dataclass(frozen=True)
class Overlay:
    """All that is drawn, in units of the picture; ``paths`` in the order of the series."""

    paths: list[str]
    across: list[Tick]
    upward: list[Tick]
    parts: list[float]
    log: bool
    height: int = HEIGHT
    top: int = TOP

    @property
    def bottom(self) -> int:
        """Where the lower axis lies."""
        return self.height - BOTTOM


def overlay(series: Sequence[Mapping[int, float]], parted: Sequence[int]) -> Overlay | None:
    """None where there is nothing to draw. ``parted``: steps to mark."""
    finite = [value for one in series for value in one.values() if math.isfinite(value)]
    steps = [step for one in series for step in one]
    if not finite:
        return None
    first, last = min(steps), max([*steps, min(steps) + 1])
    low, high = min(finite), max(finite)
    log = log_scale(low, high)
    bounds, ticks = scale(low, high, log)

    def across(step: int) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (step - first) / (last - first), 1)

    def up(value: float) -> float:
        place = math.log10(value) if log else value
        share = (place - bounds[0]) / (bounds[1] - bounds[0])
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - share), 1)

    places = sorted({first + (last - first) * place // _TICKS for place in range(_TICKS + 1)})
    return Overlay(
        [
            _path([(across(step), up(value)) for step, value in _reduced(one, first, last)])
            for one in series
        ],
        [Tick(across(step), f"{step:,}") for step in places],
        [Tick(up(value), number(value, 3)) for value in ticks],
        [across(step) for step in parted], log,
    )  # fmt: skip


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points) if points else ""


def _reduced(series: Mapping[int, float], first: int, last: int) -> list[tuple[int, float]]:
    """The lowest and the highest finite value of each stretch of steps."""
    buckets: dict[int, list[tuple[int, float]]] = {}
    for step, value in series.items():
        if math.isfinite(value):
            buckets.setdefault((step - first) * _BUCKETS // (last - first), []).append((step, value))
    kept = []
    for _, inside in sorted(buckets.items()):
        ends = {min(inside, key=lambda one: one[1]), max(inside, key=lambda one: one[1])}
        kept += sorted(ends)
    return kept
