"""Query results as the page draws them."""

from __future__ import annotations

import pytest

from stream.web.frames import FrameError, kind_of, series, table
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
