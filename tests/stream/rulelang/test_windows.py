"""Windows against the plain definitions of their statistics."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.rulelang.model import WindowSpec
from stream.rulelang.windows import MAX_SAMPLES, Window

NEEDS = frozenset({"order", "sums"})
VALUES = st.floats(min_value=-1e9, max_value=1e9) | st.sampled_from([math.nan, math.inf, -math.inf, 1.0, 2.0])


def _source(slots: Sequence[float]) -> float:
    return slots[0]


def _window(last: int | None = None, over_s: float | None = None) -> Window:
    return Window(WindowSpec(_source, NEEDS, last, over_s))


def _assert_equal(window: Window, kept: list[float]) -> None:
    assert window.count() == len(kept)
    if not kept:
        assert window.sum() == 0
        for empty in (
            window.mean(),
            window.std(),
            window.median(),
            window.mad(),
            window.min(),
            window.last(),
        ):
            assert math.isnan(empty)
        return
    center = statistics.median(kept)
    assert (window.first(), window.last(), window.delta()) == (kept[0], kept[-1], kept[-1] - kept[0])
    assert (window.min(), window.max(), window.median()) == (min(kept), max(kept), center)
    assert window.mad() == statistics.median([abs(value - center) for value in kept])
    assert window.sum() == math.fsum(kept)
    assert window.mean() == pytest.approx(statistics.mean(kept), rel=1e-15, abs=5e-324)
    assert window.std() == pytest.approx(statistics.pstdev(kept), rel=1e-12, abs=1e-300)
    assert window.quantile(0.9) == pytest.approx(float(np.quantile(kept, 0.9)), rel=1e-9, abs=1e-6)


@settings(deadline=None)
@given(st.lists(VALUES, max_size=60), st.integers(1, 12))
def test_the_last_n(values: list[float], last: int) -> None:
    """After any pushes a window holds the last N finite values, and every statistic is the textbook's."""
    window = _window(last=last)
    for index, value in enumerate(values):
        window.push(index, value)
    _assert_equal(window, [value for value in values if math.isfinite(value)][-last:])


@settings(deadline=None)
@given(st.lists(st.tuples(VALUES, st.integers(0, 5)), max_size=40), st.integers(1, 10))
def test_the_last_seconds(pushes: list[tuple[float, int]], seconds: int) -> None:
    """A window over time holds what is younger than its duration."""
    window = _window(over_s=float(seconds))
    now, seen = 0, []
    for value, gap in pushes:
        now += gap * 1_000_000_000
        window.push(now, value)
        seen.append((now, value))
    window.expire(now)
    limit = now - seconds * 1_000_000_000
    _assert_equal(window, [value for time, value in seen if math.isfinite(value) and time > limit])


def test_sums_do_not_drift() -> None:
    """A huge value that passed through leaves no trace."""
    window = _window(last=3)
    for value in (1e300, 0.1, 0.2, 0.3):
        window.push(0, value)
    assert window.sum() == math.fsum([0.1, 0.2, 0.3])
    assert window.std() == pytest.approx(statistics.pstdev([0.1, 0.2, 0.3]))


def test_extremes_neither_raise_nor_overflow_silently() -> None:
    """The edge of the number range."""
    window = _window(last=4)
    for value in (1.7e308, 1.7e308, -1.7e308, 5e-324):
        window.push(0, value)
    assert math.isfinite(window.mean())
    assert math.isfinite(window.median())
    window.push(0, 1.7e308)
    assert window.sum() == 1.7e308


def test_a_window_over_time_is_bounded_in_number() -> None:
    """Memory is bounded whatever the rate of events."""
    window = _window(over_s=3600.0)
    for index in range(MAX_SAMPLES + 10):
        window.push(index, float(index))
    assert window.count() == MAX_SAMPLES
    assert window.first() == 10.0
