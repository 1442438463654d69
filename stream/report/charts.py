"""Charts as what an SVG needs: paths, ticks and marks, all computed here. Pure."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from stream.report.curves import Curve, Point
from stream.report.numbers import number, seconds

WIDTH, HEIGHT = 860, 210
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 18, 36
_LOG_FROM: Final = 50.0
"""Curves whose values differ by more than so many times are drawn on a logarithmic scale."""
_NS: Final = 1_000_000_000
_STEPS_S: Final = (
    0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800,
    21600, 43200, 86400, 172800, 604800, 1209600, 2592000,
)  # fmt: skip
_NEAR: Final = 13.0


@dataclass(frozen=True)
class Mark:
    """Something that happened. ``kind``: diagnosis or command; ``key`` is its number in the legend."""

    at: int
    key: str
    kind: str
    severity: str
    text: str
    step: int | None = None


@dataclass(frozen=True)
class Tick:
    """A place on an axis; ``below`` is its second line."""

    at: float
    text: str
    below: str = ""


@dataclass(frozen=True)
class Flag:
    """A mark on a chart. ``up``: how many rows its number stands higher than the lowest."""

    at: float
    key: str
    kind: str
    severity: str
    up: int


@dataclass(frozen=True)
class Chart:
    """All that is drawn, in units of the picture."""

    curve: Curve
    paths: list[str]
    dots: list[tuple[float, float]]
    across: list[Tick]
    upward: list[Tick]
    flags: list[Flag]
    bad: list[float]
    bands: list[tuple[float, float]]
    log: bool
    top: int
    notes: list[str] = field(default_factory=list)

    @property
    def height(self) -> int:
        """Of the whole picture."""
        return HEIGHT + self.top - TOP

    @property
    def bottom(self) -> int:
        """Where the lower axis lies."""
        return self.height - BOTTOM


def charts(
    curves: Iterable[Curve],
    marks: Sequence[Mark],
    since: int,
    until: int,
    bands: Sequence[tuple[int, int]] = (),
) -> list[Chart]:
    """A chart for each curve over the same stretch of time."""
    return [_chart(curve, marks, since, max(until, since + 1), bands) for curve in curves]


def _chart(
    curve: Curve, marks: Sequence[Mark], since: int, until: int, bands: Sequence[tuple[int, int]]
) -> Chart:
    def across(at: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (min(max(at, since), until) - since) / (until - since)

    flags = _flags(marks, across)
    top = TOP + 14 * (1 + max((flag.up for flag in flags), default=-1))
    low, high = curve.low or 0.0, curve.high or 0.0
    log = log_scale(low, high)
    bounds, upward = scale(low, high, log)

    def up(value: float) -> float:
        place = math.log10(value) if log else value
        inner = HEIGHT - TOP - BOTTOM
        return top + inner * (1 - (place - bounds[0]) / (bounds[1] - bounds[0]))

    return Chart(
        curve=curve,
        paths=[_path(strand, across, up) for strand in curve.strands if len(strand) > 1],
        dots=[(_round(across(s[0].at)), _round(up(s[0].value))) for s in curve.strands if len(s) == 1],
        across=_times(curve.points, since, until, across),
        upward=[Tick(_round(up(value)), number(value, 3)) for value in upward],
        flags=flags,
        bad=sorted({_round(across(at)) for at in curve.bad}),
        bands=[(_round(across(a)), _round(max(2.0, across(b) - across(a)))) for a, b in bands],
        log=log,
        top=top,
        notes=_notes(curve, log),
    )


def _path(strand: Sequence[Point], across: Callable[[int], float], up: Callable[[float], float]) -> str:
    return "M" + "L".join(f"{_round(across(p.at)):g} {_round(up(p.value)):g}" for p in strand)


def _flags(marks: Sequence[Mark], across: Callable[[int], float]) -> list[Flag]:
    """Numbers that would cover each other stand in rows."""
    rows: list[float] = []
    flags = []
    for mark in sorted(marks, key=lambda one: one.at):
        at = across(mark.at)
        row = next((place for place, end in enumerate(rows) if at - end > _NEAR), len(rows))
        rows[row : row + 1] = [at]
        flags.append(Flag(_round(at), mark.key, mark.kind, mark.severity, row))
    return flags


def log_scale(low: float, high: float) -> bool:
    """Whether values between these are drawn by their logarithm."""
    return low > 0 and high / low > _LOG_FROM


def scale(low: float, high: float, log: bool) -> tuple[tuple[float, float], list[float]]:
    """Bounds (of the logarithm where it is one) and the values at the ticks."""
    if log:
        first, last = math.log10(low), math.log10(high)
        edge = (last - first) * 0.04
        every = max(1, math.ceil((last - first) / 5))
        decades = [10.0**n for n in range(math.ceil(first - edge), math.floor(last + edge) + 1, every)]
        if len(decades) < 3:
            decades = sorted({*decades, *(3 * ten for ten in decades if 3 * ten < high), low})
        return (first - edge, last + edge), decades
    if high == low:
        spare = abs(high) * 0.1 or 1.0
        return (low - spare, high + spare), [low]
    edge = (high - low) * 0.06
    step = _nice((high - low) / 4)
    first_tick = math.ceil((low - edge) / step)
    ticks = [n * step for n in range(first_tick, math.floor((high + edge) / step) + 1)]
    return (low - edge, high + edge), ticks


def _nice(rough: float) -> float:
    size = 10.0 ** math.floor(math.log10(rough))
    return next(size * times for times in (1, 2, 2.5, 5, 10) if size * times >= rough * 0.999)


def _times(points: Sequence[Point], since: int, until: int, across: Callable[[int], float]) -> list[Tick]:
    """Times since the beginning, with the step that was reached then."""
    span = (until - since) / _NS
    every = next(
        (step for step in _STEPS_S if span / step <= 7), _STEPS_S[-1] * math.ceil(span / _STEPS_S[-1] / 7)
    )
    times = [point.at for point in points]
    ticks = []
    for place in range(int(span / every) + 1):
        at = since + int(place * every * _NS)
        before = bisect.bisect_right(times, at) - 1
        step = points[before].step if before >= 0 else -1
        ticks.append(
            Tick(
                _round(across(at)),
                seconds(place * every) if place else "0",
                f"step {step:,}" if step >= 0 else "",
            )
        )
    return ticks


def _notes(curve: Curve, log: bool) -> list[str]:
    notes = [f"last {number(curve.last)}"]
    if curve.low is not None and curve.high is not None:
        notes.append(f"lowest {number(curve.low)}, highest {number(curve.high)}")
    if log:
        notes.append("logarithmic scale")
    if len(curve.points) < curve.values - curve.not_finite:
        notes.append(f"{curve.values:,} values, of each stretch the lowest and the highest")
    return notes


def _round(value: float) -> float:
    return round(value, 1)
