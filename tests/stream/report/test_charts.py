"""Charts as geometry."""

from __future__ import annotations

import math
import re

from hypothesis import given
from hypothesis import strategies as st

from stream.report import charts
from stream.report.charts import Mark
from stream.report.curves import Curve, Point
from stream.report.overlay import overlay

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=32)


def _curve(strands: list[list[Point]], bad: tuple[int, ...] = ()) -> Curve:
    values = [point.value for strand in strands for point in strand]
    last = values[-1] if values else math.nan
    return Curve(
        "loss", "Loss", "", strands, list(bad), len(values) + len(bad), len(bad), 7 if bad else None, last, 3,
        min(values, default=None), max(values, default=None),
    )  # fmt: skip


@given(st.lists(NUMBERS, min_size=1, max_size=30), st.integers(1, 10**18))
def test_all_that_is_drawn_lies_in_the_picture(values: list[float], span: int) -> None:
    """Whatever the values and the times are."""
    points = [Point(1_000 + span * n // len(values), value, n) for n, value in enumerate(values)]
    marks = [Mark(1_000 + span * n // 5, str(n), "command", "", "x") for n in range(5)]
    (chart,) = charts.charts([_curve([points])], marks, 1_000, 1_000 + span)
    drawn = [float(n) for path in chart.paths for n in re.findall(r"-?[\d.]+(?:e[+-]?\d+)?", path)]
    places = list(zip(drawn[::2], drawn[1::2], strict=True)) + chart.dots
    assert places
    assert all(charts.LEFT <= x <= charts.WIDTH and chart.top - 1 <= y <= chart.bottom + 1 for x, y in places)
    assert len(chart.across) <= 10
    assert len(chart.upward) <= 12


def test_what_is_not_finite_is_a_gap_and_a_line() -> None:
    """The curve ends before it and begins anew after it."""
    strands = [[Point(0, 1.0, 0), Point(10, 2.0, 1)], [Point(30, 3.0, 3), Point(40, 1.0, 4)]]
    (chart,) = charts.charts([_curve(strands, (20,))], [], 0, 40)
    assert len(chart.paths) == 2
    assert chart.bad == [455.0]


def test_marks_that_would_cover_each_other_stand_in_rows() -> None:
    """Their numbers stay readable."""
    marks = [Mark(at, str(at), "diagnosis", "warning", "x") for at in (100, 101, 102, 900)]
    (chart,) = charts.charts([_curve([[Point(0, 1.0, 0), Point(1000, 2.0, 1)]])], marks, 0, 1000)
    assert [flag.up for flag in chart.flags] == [0, 1, 2, 0]


def test_a_wide_curve_is_logarithmic_and_says_so() -> None:
    """An explosion does not flatten all else."""
    (chart,) = charts.charts([_curve([[Point(0, 1.0, 0), Point(9, 1e6, 1)]])], [], 0, 10)
    assert chart.log
    assert "logarithmic scale" in chart.notes


def test_runs_over_each_other_are_reduced() -> None:
    """A hundred thousand steps are some hundred points; nothing to draw is nothing."""
    found = overlay([{step: math.sin(step) for step in range(100_000)}, {5: math.nan}], [50])
    assert found is not None
    assert found.paths[0].count("L") < 1000
    assert found.paths[1] == ""
    assert overlay([{}, {1: math.nan}], []) is None
