"""Outlooks: whatever values within the bounds are pushed, no statistic leaves its interval."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.rulelang import outlook, windows
from stream.rulelang.functions import WINDOW
from stream.rulelang.model import WindowSpec
from stream.rulelang.outlook import ANY, NONE, Coming

FUNCTIONS = sorted({one.name for one in WINDOW} - {"zscore", "rate", "slope"})
VALUES = st.one_of(
    st.floats(-10, 10), st.sampled_from([0.0, -0.0, 1.0, 1.0, 2.0, 1e300, -1e300, 5e-324]),
    st.floats(allow_nan=False, allow_infinity=False),
)  # fmt: skip
COMING = st.lists(st.one_of(VALUES, st.sampled_from([math.nan, math.inf])), max_size=12)


def _window(function: str, last: int) -> windows.Window:
    needs = next(one.needs for one in WINDOW if one.name == function)
    spec = WindowSpec(lambda slots, windows: 0.0, frozenset(needs.split()), last)
    return windows.make([spec])[0]


@pytest.mark.parametrize("function", FUNCTIONS)
@given(st.lists(VALUES, max_size=30), COMING, st.integers(1, 24), st.floats(0, 1))
def test_a_statistic_stays_where_its_outlook_says(
    function: str, before: list[float], coming: list[float], last: int, share: float
) -> None:
    """Before, between and after the values that come; those that are not finite never enter."""
    window, arguments = _window(function, last), (share,) if function == "quantile" else ()
    for number, value in enumerate(before):
        window.push(number, value)
    ask = outlook.of(function, share)
    assert ask is not None
    finite = [value for value in coming if math.isfinite(value)]
    low, high = ask(
        window, Coming(len(coming), min(finite, default=math.inf), max(finite, default=-math.inf))
    )
    for number, value in enumerate([math.nan, *coming]):
        window.push(number, value)
        found = getattr(window, function)(*arguments)
        assert found != found or low <= found <= high


@pytest.mark.parametrize("function", ["rate", "slope", "zscore"])
def test_of_some_nothing_is_said(function: str) -> None:
    """Where no outlook is known none is given."""
    assert outlook.of(function, None) is None


def test_a_full_window_is_bounded_closely() -> None:
    """A value far off moves a median by a place only, and a mean by its share."""
    window = _window("median", 20)
    for number in range(20):
        window.push(number, float(number))
    coming = Coming(2, -1000.0, 1000.0)
    found = {name: ask(window, coming) for name in ("median", "mean") if (ask := outlook.of(name, None))}
    assert found["median"] == (7.0, 12.0)
    low, high = found["mean"]
    assert (round(low, 3), round(high, 3)) == (9.5 - 2 * 1001 / 20, 9.5 + 2 * 1000 / 20)


def test_room_for_rounding_is_made_of_numbers_only() -> None:
    """No number stays no number, and what is beyond all bounds says nothing."""
    assert outlook.wider(*NONE) == NONE
    assert outlook.wider(0.0, math.inf) == ANY
    low, high = outlook.wider(1.0, 2.0)
    assert low < 1.0
    assert high > 2.0
