"""Curves of a run: reduced in SQL to the lowest and highest value of each bucket of time."""

from __future__ import annotations

import itertools
import statistics
from dataclasses import dataclass
from typing import Final

from stream.report.ask import Ask, Row

BUCKETS: Final = 500
"""Of each at most two points are kept: 1,000 in all."""

THROUGHPUTS: Final = ("tokens_per_second", "samples_per_second", "throughput", "step_time")
_TITLES: Final = {
    "loss": ("Loss", ""), "grad_norm": ("Gradient norm", ""), "learning_rate": ("Learning rate", ""),
    "tokens_per_second": ("Throughput", "tokens/s of one rank"), "throughput": ("Throughput", ""),
    "samples_per_second": ("Throughput", "samples/s of one rank"), "step_time": ("Step time", "s"),
    "reward_mean": ("Reward", ""), "kl": ("KL divergence", ""), "entropy": ("Entropy", ""),
}  # fmt: skip
_ALWAYS: Final = ("loss", "grad_norm", "learning_rate")
_REINFORCED: Final = ("reward_mean", "kl", "entropy")

_ONE: Final = "run = {run:String} AND role = {role:String} AND rank = {rank:Int32}"
_BETWEEN: Final = """
    AND s.time >= fromUnixTimestamp64Nano({since:Int64}) AND s.time <= fromUnixTimestamp64Nano({until:Int64})
"""
_SPEAKER: Final = """
SELECT role, rank FROM train_steps_1m WHERE run = {run:String}
GROUP BY role, rank ORDER BY countIf(name = 'loss') = 0, role != 'trainer', rank, role LIMIT 1
"""
_NAMES: Final = "SELECT DISTINCT name FROM train_steps_1m WHERE " + _ONE
_STATS: Final = f"""
SELECT
    name, count() AS values, countIf(NOT isFinite(value)) AS bad,
    argMax((value, step), (s.time, seq)) AS last,
    minOrNullIf(value, isFinite(value)) AS low, maxOrNullIf(value, isFinite(value)) AS high,
    argMinIf(step, (s.time, seq), NOT isFinite(value)) AS bad_step
FROM train_steps AS s WHERE {_ONE} AND name IN {{names:Array(String)}}{_BETWEEN}
GROUP BY name
"""
_REDUCED: Final = f"""
SELECT
    intDiv(toUnixTimestamp64Nano(s.time) - {{since:Int64}}, {{width:Int64}}) AS bucket,
    countIf(isFinite(value)) AS good, countIf(NOT isFinite(value)) AS bad,
    minIf((value, toUnixTimestamp64Nano(s.time), step), isFinite(value)) AS low,
    maxIf((value, toUnixTimestamp64Nano(s.time), step), isFinite(value)) AS high,
    minIf(toUnixTimestamp64Nano(s.time), NOT isFinite(value)) AS bad_at, max(attempt) AS attempt
FROM train_steps AS s WHERE {_ONE} AND name = {{name:String}}{_BETWEEN}
GROUP BY bucket ORDER BY bucket
"""


@dataclass(frozen=True)
class Speaker:
    """The rank whose curves are shown: the lowest that logs a loss, of role trainer where one does."""

    role: str
    rank: int


@dataclass(frozen=True)
class Point:
    """One value; ``at`` in Unix nanoseconds."""

    at: int
    value: float
    step: int


@dataclass(frozen=True)
class Curve:
    """One series between two times. ``strands``: points without a gap between them; ``bad``: where values are
    not finite (Unix ns), ``not_finite`` so many in all, the first at ``bad_step``.
    """

    name: str
    title: str
    unit: str
    strands: list[list[Point]]
    bad: list[int]
    values: int
    not_finite: int
    bad_step: int | None
    last: float
    last_step: int
    low: float | None
    high: float | None

    @property
    def points(self) -> list[Point]:
        """All points, in the order of time."""
        return [point for strand in self.strands for point in strand]


def speaker(ask: Ask, run: str) -> Speaker | None:
    """Whose curves to show; None where the run has no steps."""
    found = ask(_SPEAKER, run=run)
    return Speaker(found[0]["role"], int(found[0]["rank"])) if found else None


def curves(ask: Ask, run: str, who: Speaker, since: int, until: int) -> list[Curve]:
    """Loss, gradient norm, learning rate and throughput between these times, as far as they were logged."""
    known = {row["name"] for row in ask(_NAMES, run=run, role=who.role, rank=who.rank)}
    speed = next((name for name in THROUGHPUTS if name in known), None)
    names = [name for name in (*_ALWAYS, *_REINFORCED, speed) if name in known]
    common = {"run": run, "role": who.role, "rank": who.rank, "since": since, "until": until}
    stats = {row["name"]: row for row in ask(_STATS, names=names, **common)}
    return [
        _curve(stats[name], ask(_REDUCED, name=name, width=_width(stats[name], since, until), **common))
        for name in names
        if name in stats
    ]


def _width(stats: Row, since: int, until: int) -> int:
    """Of a bucket, in nanoseconds; few values are all kept."""
    few = int(stats["values"]) <= 2 * BUCKETS
    return 1 if few else max(1, -(-(until - since + 1) // BUCKETS))


def _curve(stats: Row, buckets: list[Row]) -> Curve:
    title, unit = _TITLES[stats["name"]]
    bad = int(stats["bad"])
    return Curve(
        stats["name"], title, unit, _strands(buckets), [int(one["bad_at"]) for one in buckets if one["bad"]],
        int(stats["values"]), bad, int(stats["bad_step"]) if bad else None, float(stats["last"][0]),
        int(stats["last"][1]), stats["low"], stats["high"],
    )  # fmt: skip


def _strands(buckets: list[Row]) -> list[list[Point]]:
    """A new one after what is not finite, at a new attempt, and after a pause that can be seen."""
    pause = _pause(buckets)
    strands: list[list[Point]] = [[]]
    attempt: int | None = None
    for one in buckets:
        low, high = _point(one["low"]), _point(one["high"])
        inside = [low] if low == high else sorted((low, high), key=lambda point: point.at)
        inside = inside if one["good"] else []
        last = strands[-1][-1] if strands[-1] else None
        far = last is not None and bool(inside) and inside[0].at - last.at > pause
        if far or (attempt is not None and one["attempt"] != attempt):
            strands.append([])
        strands[-1] += inside
        if one["bad"]:
            strands.append([])
        attempt = one["attempt"]
    return [strand for strand in strands if strand]


def _pause(buckets: list[Row]) -> float:
    times = [int(one["low"][1]) for one in buckets if one["good"]]
    if len(times) < 3:
        return float("inf")
    usual = statistics.median(later - time for time, later in itertools.pairwise(times))
    return max(10 * usual, (times[-1] - times[0]) / 30)


def _point(found: tuple[float, int, int]) -> Point:
    value, at, step = found
    return Point(int(at), float(value), int(step))
