"""A clock that does not jump."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream.steady import FOLLOWS, Steady

HOUR_NS = 3_600_000_000_000
SECOND_NS = 1_000_000_000


class _Clocks:
    wall = 1_800_000_000 * SECOND_NS
    monotonic = 5 * SECOND_NS

    def pass_by(self, ns: int) -> None:
        self.wall += ns
        self.monotonic += ns


def _steady(clocks: _Clocks) -> Steady:
    return Steady(lambda: clocks.wall, lambda: clocks.monotonic)


def test_it_agrees_with_a_clock_that_is_never_set() -> None:
    """To the nanosecond."""
    clocks = _Clocks()
    steady = _steady(clocks)
    for _ in range(100):
        clocks.pass_by(123_456_789)
        assert steady.unix_ns() == clocks.wall


@given(st.lists(st.tuples(st.integers(0, 60 * SECOND_NS), st.integers(-HOUR_NS, HOUR_NS)), min_size=1))
def test_it_never_runs_back_nor_jumps(steps: list[tuple[int, int]]) -> None:
    """However the system's clock is set, it gains or loses at most a hundredth of the time that passed."""
    clocks = _Clocks()
    steady = _steady(clocks)
    before = steady.unix_ns()
    for passed, jump in steps:
        clocks.pass_by(passed)
        clocks.wall += jump
        now = steady.unix_ns()
        assert abs(now - before - passed) <= passed * FOLLOWS + 1
        before = now


def test_it_comes_to_agree_again() -> None:
    """Half a minute wrong at start is mended within the hour."""
    clocks = _Clocks()
    steady = _steady(clocks)
    clocks.wall -= 30 * SECOND_NS
    for _ in range(3600):
        clocks.pass_by(SECOND_NS)
        steady.unix_ns()
    assert steady.unix_ns() == clocks.wall
