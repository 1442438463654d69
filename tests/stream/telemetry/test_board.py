"""Where processes count: sums, durations, and what is read at collection."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stream.telemetry.board import BOUNDS_S, Board, by
from stream.telemetry.catalogue import DEAD, OUTBOX, RUNS, STAGE_TIME


def test_counts_are_shared_by_all_who_ask_for_them() -> None:
    """Two who count the same metric add to the same numbers."""
    board = Board()
    board.count(DEAD)["ingest", "malformed"] += 2
    board.count(DEAD)["ingest", "malformed"] += 1
    assert board.values(DEAD) == {("ingest", "malformed"): 3}


def test_what_several_say_of_a_key_is_added_up() -> None:
    """And one that fails costs its own numbers only."""
    board = Board()
    board.read(OUTBOX, lambda: {("a", "t"): 1})
    board.read(OUTBOX, lambda: {("a", "t"): 2, ("b", "t"): 5})
    board.read(OUTBOX, lambda: {("c", "t"): 1 / len("")})
    assert board.values(OUTBOX) == {("a", "t"): 3, ("b", "t"): 5}
    assert board.values(RUNS) == {}
    assert by({"x": 1})() == {("x",): 1}


@given(st.lists(st.floats(min_value=0, max_value=100), max_size=50))
def test_durations_fall_into_the_bucket_that_holds_them(seconds: list[float]) -> None:
    """Each is counted once, below the first bound that is not smaller, as OpenTelemetry wants it."""
    board = Board()
    for one in seconds:
        board.times(STAGE_TIME).add(("s", "t"), one)
    cells = dict(board.times(STAGE_TIME).items())
    if not seconds:
        assert cells == {}
        return
    cell = cells["s", "t"]
    edges = [-1.0, *BOUNDS_S, float("inf")]
    expected = [sum(low < one <= high for one in seconds) for low, high in pairwise(edges)]
    assert cell.counts == expected
    assert abs(cell.sum - sum(seconds)) < 1e-6
