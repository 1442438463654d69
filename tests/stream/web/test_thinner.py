"""How many points a panel may ask for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream.web.thinner import FEWEST_POINTS, MOST_VALUES, Thinner


def test_a_panel_that_was_too_long_asks_for_fewer_points_from_then_on() -> None:
    """Wider buckets at once, and the next time; others are not touched."""
    thinner = Thinner()
    assert thinner.points("a", 1000) == 1000
    assert not thinner.judge("a", 1000, 10 * MOST_VALUES)
    assert thinner.points("a", 1000) == 90
    assert thinner.points("a", 50) == 50
    assert thinner.points("b", 1000) == 1000
    assert thinner.judge("a", 90, MOST_VALUES)
    assert thinner.points("a", 1000) == 90


def test_a_panel_with_few_lines_again_has_its_points_back() -> None:
    """When somebody chose one rank of a thousand."""
    thinner = Thinner()
    thinner.judge("a", 1000, 10 * MOST_VALUES)
    assert thinner.judge("a", 90, MOST_VALUES // 4 - 1)
    assert thinner.points("a", 1000) == 1000


@given(wanted=st.integers(1, 5000), lines=st.integers(1, 10_000))
def test_it_ends_with_an_answer_that_fits(wanted: int, lines: int) -> None:
    """However many lines: a few turns lead to few enough values, or to the fewest points."""
    thinner = Thinner()
    for _ in range(4):
        points = thinner.points("a", wanted)
        assert 1 <= points <= wanted
        if thinner.judge("a", points, points * lines):
            assert points * lines <= MOST_VALUES or points <= FEWEST_POINTS
            return
    raise AssertionError(f"{points} points of {lines} lines")


def test_it_forgets_the_oldest() -> None:
    """A viewer that runs for months does not grow."""
    thinner = Thinner()
    for panel in range(2001):
        thinner.judge(panel, 1000, 10 * MOST_VALUES)
    assert thinner.points(0, 1000) == 1000
    assert thinner.points(1, 1000) == 90
