"""Time ranges and bucket widths."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.web.timerange import RangeError, between, duration_ms, interval_ms

NOW = 1_700_000_000_000


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("now-15m", "now", (NOW - 900_000, NOW)),
        ("now-2d", "now-1h", (NOW - 172_800_000, NOW - 3_600_000)),
        ("1", "2", (1, 2)),
        ("1", "999999999999999", (1, 4_102_444_800_000)),
    ],
)
def test_ranges_are_read(start: str, end: str, expected: tuple[int, int]) -> None:
    """Relative and absolute ends become Unix milliseconds."""
    assert between(start, end, NOW) == expected


@pytest.mark.parametrize("text", ["yesterday", "", "-5", "now+1h", "now-1", "1e3", "now-99999999999s"])
def test_other_words_are_refused(text: str) -> None:
    """What is not a time is named."""
    with pytest.raises(RangeError, match="time: expected now, now-15m or Unix milliseconds"):
        between(text, "now", NOW)


def test_an_empty_range_is_refused() -> None:
    """The end must come after the beginning."""
    with pytest.raises(RangeError, match="expected `from` before `to`, got 'now' and 'now-1h'"):
        between("now", "now-1h", NOW)


def test_durations_are_read() -> None:
    """A panel's least interval is a number and a unit."""
    assert [duration_ms(text) for text in ("10ms", "2s", "5m")] == [10, 2000, 300_000]
    with pytest.raises(RangeError, match="expected a duration such as 10ms or 2s, got 'soon'"):
        duration_ms("soon")


@given(st.integers(1, 10**13), st.integers(1, 5000), st.integers(1, 10**6))
def test_buckets_never_exceed_the_points(span: int, points: int, least: int) -> None:
    """The range holds no more buckets than asked for, and none narrower than the least."""
    width = interval_ms(span, points, least)
    assert width >= least
    assert span / width <= points
