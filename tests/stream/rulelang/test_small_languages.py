"""The small notations: series, durations, summaries, runbooks."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.rulelang import durations, runbooks, series, summary


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1x3", (1, 1, 1, 1)),
        ("0+0.5x2", (0, 0.5, 1)),
        ("5-1x2", (5, 4, 3)),
        ("-2+1x1", (-2, -1)),
        ("7", (7,)),
        ("1 _ 2", (1, None, 2)),
        ("_x3 1", (None, None, None, 1)),
        ("Inf -Inf", (math.inf, -math.inf)),
        ("1e3x0", (1000,)),
        ("", ()),
        ("_x0", ()),
        (".5", (0.5,)),
    ],
)
def test_series(text: str, expected: tuple[float | None, ...]) -> None:
    """The notation of promtool."""
    assert tuple(series.parse(text)) == expected
    assert tuple(series.parse(text)[index] for index in range(len(expected))) == expected


def test_series_of_nan() -> None:
    """NaN repeats like a number."""
    assert [math.isnan(float(value or 0)) for value in series.parse("NaNx2")] == [True] * 3


@pytest.mark.parametrize(
    ("text", "offset"),
    [("1 2 x", 4), ("1+1", 0), ("1xx3", 0), ("1x100000", 0), ("1x9 _x99999", 4), ("one", 0), ("1,2", 0)],
)
def test_bad_series(text: str, offset: int) -> None:
    """A bad item is named with its place."""
    with pytest.raises(series.SeriesError, match="expected") as caught:
        series.parse(text)
    assert caught.value.offset == offset


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("5m", 300), ("1h30m", 5400), ("250ms", 0.25), ("2d", 172800), ("0s", 0), ("1.5m", 90)],
)
def test_durations(text: str, seconds: float) -> None:
    """Numbers with units, added up."""
    assert durations.parse(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "-5m", "5min", "1e3s", "5m5"])
def test_bad_durations(text: str) -> None:
    """Everything else is none."""
    assert durations.parse(text) is None


def test_a_summary_shows_values_in_their_format() -> None:
    """Formats are applied where they fit; what is unknown is a question mark."""
    template, mistakes = summary.parse("{loss:.3g} {step} {rank:d} {node:>4} {x:.1f} {big:d} {share:.0%}")
    assert mistakes == []
    shown = template.render(
        {"loss": 1234.5678, "step": 3, "rank": 2.0, "node": "a", "x": math.nan, "big": math.inf, "share": 0.5}
    )
    assert shown == "1.23e+03 3 2 a nan inf 50%"
    assert template.render({}) == "? ? ? ? ? ? ?"
    assert template.names == ("loss", "step", "rank", "node", "x", "big", "share")


@given(st.text(alphabet="{}:.09gdf!rabc_ ", max_size=60))
def test_no_summary_reaches_into_values(text: str) -> None:
    """A template is refused, or renders whatever the values are."""
    template, mistakes = summary.parse(text)
    if not mistakes:
        assert isinstance(template.render(dict.fromkeys(template.names, 1.5)), str)
        assert isinstance(template.render(dict.fromkeys(template.names, "text")), str)


def test_suggestions_are_the_list_of_what_to_do() -> None:
    """The first items under the heading, lines joined."""
    page = (
        "# x\n\n## Look at\n\n- not this\n\n## What to do\n\n- First\n  thing.\n- Second.\n\n## More\n- no\n"
    )
    assert runbooks.suggestions(page) == ("First thing.", "Second.")
    assert runbooks.suggestions("# x\n- no list\n") == ()
