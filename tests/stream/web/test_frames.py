"""Query results as the page draws them."""

from __future__ import annotations

import pytest

from stream.web.frames import FrameError, digest, kind_of, series, shorten, states, steps, table
from stream.web.store import Column

TIME = Column("time", "DateTime64(3)", ["1.5", "1.5", "2", "3"])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("DateTime64(9)", "time"),
        ("Nullable(DateTime)", "time"),
        ("SimpleAggregateFunction(max, DateTime64(9))", "time"),
        ("Nullable(SimpleAggregateFunction(max, Int64))", "number"),
        ("Float64", "number"),
        ("LowCardinality(Nullable(String))", "string"),
        ("Array(UInt8)", "string"),
    ],
)
def test_types_are_told_apart(name: str, kind: str) -> None:
    """A column is a time, a number or text, whatever it is wrapped in."""
    assert kind_of(name) == kind


def test_rows_become_lines() -> None:
    """Lines share sorted times; null where a line has no sample, words where it is not finite."""
    names = Column("series", "String", ["b", "a", "b", "a"])
    values = Column("value", "Float64", [1.0, "nan", "-inf", 0.123456789])
    assert series([TIME, names, values]) == {
        "times": [1500, 2000, 3000],
        "series": [
            {"name": "a", "values": ["NaN", None, 0.1234568]},
            {"name": "b", "values": [1, "-Infinity", None]},
        ],
    }


def test_one_line_takes_the_name_of_its_column() -> None:
    """Without a column of names there is one line."""
    frame = series([Column("t", "DateTime", ["1"]), Column("loss", "Nullable(Float64)", [None])])
    assert frame == {"times": [1000], "series": [{"name": "loss", "values": [None]}]}


def test_tables_keep_their_columns() -> None:
    """Times become milliseconds, null text becomes empty, numbers stay numbers."""
    columns = [
        TIME,
        Column("n", "Nullable(Int64)", [1, None, 3, 4]),
        Column("s", "String", ["x", None, "y", 2]),
    ]
    assert table(columns) == {
        "fields": [
            {"name": "time", "kind": "time", "values": [1500, 1500, 2000, 3000]},
            {"name": "n", "kind": "number", "values": [1, None, 3, 4]},
            {"name": "s", "kind": "string", "values": ["x", "", "y", "2"]},
        ]
    }


def test_a_line_chart_needs_time_and_number() -> None:
    """A result of another shape is one clear error."""
    with pytest.raises(FrameError, match="expected a time column and a number column, got a String"):
        series([Column("a", "String", [])])


def test_lines_along_the_step() -> None:
    """The column that the panel names lies along; a line of nothing, such as no other run, is left out."""
    columns = [
        Column("loss", "Float64", [3.0, 2.0, "nan"]),
        Column("step", "Int64", [20, 10, 30]),
        Column("other", "Nullable(Float64)", [None, None, None]),
    ]
    assert steps(columns, "step") == {
        "times": [10, 20, 30],
        "series": [{"name": "loss", "values": [2, 3, "NaN"]}],
    }


def test_lines_along_the_step_of_several_owners() -> None:
    """Words before the numbers tell whose line it is; the first number lies along where none is named."""
    columns = [
        Column("run", "String", ["a", "b", "a"]),
        Column("step", "Int64", [1, 1, 2]),
        Column("loss", "Float64", [3.0, 4.0, 2.0]),
        Column("kl", "Nullable(Float64)", [0.5, None, 0.25]),
    ]
    assert steps(columns) == {
        "times": [1, 2],
        "series": [
            {"name": "a kl", "values": [0.5, 0.25]},
            {"name": "a loss", "values": [3, 2]},
            {"name": "b loss", "values": [4, None]},
        ],
    }
    with pytest.raises(FrameError, match="expected a number column to draw along and another to draw"):
        steps(columns[:2])
    with pytest.raises(FrameError, match="got run String, step Int64"):
        steps(columns[:2], "time")


def test_states_of_owners_over_time() -> None:
    """Whose, then which; or each column a row of its own."""
    times = Column("time", "DateTime", ["1", "1", "2"])
    whose = Column("host", "String", ["host-10", "host-2", "host-2"])
    which = Column("state", "String", ["up", "up", "down"])
    assert states([times, whose, which]) == {
        "times": [1000, 2000],
        "series": [
            {"name": "host-2", "values": ["up", "down"]},
            {"name": "host-10", "values": ["up", None]},
        ],
    }
    assert states([times, Column("load", "Float64", [0.5, 0.5, 1.0])])["series"] == [
        {"name": "load", "values": [0.5, 1]}
    ]
    with pytest.raises(
        FrameError, match="states: expected a time column and one of states, got time DateTime"
    ):
        states([times])


def test_long_texts_are_cut_where_they_stand() -> None:
    """The page is told which, how long they are, and what names them."""
    frame = table([Column("why", "String", ["short", "x" * 3000])])
    (cut,) = shorten(frame)
    assert (cut.field, cut.row, cut.size, cut.digest) == ("why", 1, 3000, digest("x" * 3000))
    assert frame["fields"][0]["values"] == ["short", "x" * 2000]
