"""Reshapes query results into what the page draws. Pure.

Times become Unix milliseconds. Numbers that are not finite stay the strings "NaN", "Infinity" and
"-Infinity"; null means that there was no sample.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final, TypedDict

from stream.web.store import Column

_NOT_FINITE: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity", "+inf": "Infinity", "-nan": "NaN"}
_WRAPPERS: Final = re.compile(r"^(?:(?:Nullable|LowCardinality)\(|SimpleAggregateFunction\(\w+, )+")
_SIGNIFICANT: Final = 7  # digits; more are not seen in a chart, but cost bytes at every refresh


class Line(TypedDict):
    """One line of a chart; values stand beside the frame's times."""

    name: str
    values: list[float | str | None]


class SeriesFrame(TypedDict):
    """Lines over common times."""

    times: list[float]
    series: list[Line]


class Field(TypedDict):
    """One column of a table; ``kind`` is time, number or string."""

    name: str
    kind: str
    values: list[Any]


class RowsFrame(TypedDict):
    """A table, by columns."""

    fields: list[Field]


class FrameError(ValueError):
    """The result does not have the columns this panel needs; the message names them."""


def kind_of(clickhouse_type: str) -> str:
    """``time``, ``number`` or ``string``, looking through Nullable, LowCardinality and the like."""
    inner = _WRAPPERS.sub("", clickhouse_type)
    if inner.startswith("DateTime"):
        return "time"
    return "number" if inner.startswith(("Int", "UInt", "Float", "Decimal")) else "string"


def table(columns: list[Column]) -> RowsFrame:
    """A result as it is, column by column."""
    return {"fields": [_field(column) for column in columns]}


def series(columns: list[Column]) -> SeriesFrame:
    """Lines out of rows of a time, optionally a name, and a number. Raises FrameError."""
    fields = {field["kind"]: field for field in reversed(table(columns)["fields"])}
    if "time" not in fields or "number" not in fields:
        got = ", ".join(f"{column.name} {column.type}" for column in columns)
        raise FrameError(f"time series: expected a time column and a number column, got {got}")
    names = fields["string"]["values"] if "string" in fields else None
    return _pivot(fields["time"]["values"], names, fields["number"])


def _pivot(moments: list[float], names: list[str] | None, numbers: Field) -> SeriesFrame:
    times = sorted(set(moments))
    at = {time: index for index, time in enumerate(times)}
    lines: dict[str, list[float | str | None]] = {}
    for row, value in enumerate(numbers["values"]):
        name = names[row] if names is not None else numbers["name"]
        line = lines.get(name)
        if line is None:
            line = lines[name] = [None] * len(times)
        line[at[moments[row]]] = _rounded(value)
    return {"times": times, "series": [{"name": name, "values": lines[name]} for name in sorted(lines)]}


def _field(column: Column) -> Field:
    kind = kind_of(column.type)
    convert = {"time": _milliseconds, "number": _number, "string": _text}[kind]
    return {"name": column.name, "kind": kind, "values": [convert(value) for value in column.values]}


def _milliseconds(value: Any) -> float | None:
    if value is None:
        return None
    milliseconds = round(float(value) * 1000, 3)
    return int(milliseconds) if milliseconds.is_integer() else milliseconds


def _number(value: Any) -> float | str | None:
    if isinstance(value, str):
        return _NOT_FINITE.get(value.lower()) or float(value)
    return None if value is None else float(value) if isinstance(value, float) else int(value)


def _text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else str(value)


def _rounded(value: Any) -> float | str | None:
    if not isinstance(value, float) or value == 0 or not math.isfinite(value):
        return value if isinstance(value, (int, str)) or value == 0 else None
    short = float(f"{value:.{_SIGNIFICANT}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short
