"""Reshapes query results into what the page draws. Pure.

Times become Unix milliseconds. Numbers that are not finite stay the strings "NaN", "Infinity" and
"-Infinity"; null means that there was no sample.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple, TypedDict

from stream.web.store import Column

_NOT_FINITE: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity", "+inf": "Infinity", "-nan": "NaN"}
_WRAPPERS: Final = re.compile(r"^(?:(?:Nullable|LowCardinality)\(|SimpleAggregateFunction\(\w+, )+")
_DIGITS: Final = re.compile(r"([0-9]+)")
LONGEST: Final = 2000
"""Characters of a text that go to the page at first; the rest is asked for."""
_SIGNIFICANT: Final = 7  # digits; more are not seen in a chart, but cost bytes at every refresh


class Cut(NamedTuple):
    """A text that was cut: the name of its field, its row, how many characters it has, its digest."""

    field: str
    row: int
    size: int
    digest: str


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


def states(columns: list[Column]) -> SeriesFrame:
    """Rows of states over time: a time, then whose and which; or a column of states for each. FrameError."""
    fields = table(columns)["fields"]
    time = next((field for field in fields if field["kind"] == "time"), None)
    rest = [field for field in fields if field is not time]
    if time is None or not rest:
        got = ", ".join(f"{column.name} {column.type}" for column in columns)
        raise FrameError(f"states: expected a time column and one of states, got {got}")
    owned = len(rest) == 2 and rest[0]["kind"] == "string"
    owners = rest[0]["values"] if owned else None
    return _pivot(time["values"], owners, *(rest[1:] if owned else rest))


def steps(columns: list[Column], along: str | None = None) -> SeriesFrame:
    """Lines over a number such as the step: ``along`` names its column, else it is the first number.

    Every other number is a line; columns of text before it tell whose. Raises FrameError.
    """
    fields = table(columns)["fields"]
    numbers = [field for field in fields if field["kind"] != "string"]
    x = next((field for field in numbers if along in (None, field["name"])), None)
    lines = [field for field in numbers if field is not x]
    if x is None or not lines:
        got = ", ".join(f"{column.name} {column.type}" for column in columns)
        raise FrameError(f"expected a number column to draw along and another to draw, got {got}")
    words = [field["values"] for field in fields if field["kind"] == "string"]
    owners = [" ".join(row) for row in zip(*words, strict=True)] if words else None
    frame = _pivot(x["values"], owners, *lines)
    # A run that is compared with nothing has a column of nothing.
    drawn = [line for line in frame["series"] if any(value is not None for value in line["values"])]
    return {"times": frame["times"], "series": drawn}


def _pivot(along: list[float], owners: list[str] | None, *numbers: Field) -> SeriesFrame:
    places = sorted({place for place in along if place is not None})
    at = {place: index for index, place in enumerate(places)}
    lines: dict[str, list[float | str | None]] = {}
    for field in numbers:
        for row, value in enumerate(field["values"]):
            name = _line_name(owners[row] if owners is not None else None, field["name"], len(numbers) == 1)
            if name not in lines:
                lines[name] = [None] * len(places)
            if along[row] is not None:
                lines[name][at[along[row]]] = _rounded(value)
    names = list(lines) if owners is None else _in_order(lines)
    return {"times": places, "series": [{"name": name, "values": lines[name]} for name in names]}


def _line_name(owner: str | None, number: str, only: bool) -> str:
    if owner is None:
        return number
    return owner if only else f"{owner} {number}"


def _in_order(names: Iterable[str]) -> list[str]:
    """As a person sorts: rank 2 before rank 10."""
    return sorted(
        names, key=lambda name: [(int(part) if part.isdecimal() else 0, part) for part in _DIGITS.split(name)]
    )


def shorten(frame: RowsFrame) -> list[Cut]:
    """Cut long texts where they stand; tells which, so that the page can ask for the whole of one."""
    found = list[Cut]()
    for field in frame["fields"]:
        for row, value in enumerate(field["values"]):
            if isinstance(value, str) and len(value) > LONGEST:
                found.append(Cut(field["name"], row, len(value), digest(value)))
                field["values"][row] = value[:LONGEST]
    return found


def digest(text: str) -> str:
    """What names a text that was cut; the same as ClickHouse's ``lower(hex(MD5(text)))``."""
    return hashlib.md5(text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


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
