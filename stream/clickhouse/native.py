"""Native blocks for clients that name the revision of the protocol they speak, as the Go client does.

ClickHouse then writes its HTTP answers as its TCP protocol has blocks: the info of the block before it, and
before the data of each column whether its serialization is a custom one. The embedded engine knows revision
0 only, so both are put in here; for that the data of a column is measured by its type.

Format: https://clickhouse.com/docs/interfaces/formats/Native and
https://clickhouse.com/docs/native-protocol/columns.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from stream.clickhouse.errors import ClickHouseError

REVISION: Final = 54454
"""Clients of this revision or a later one expect both; older ones look whether they are there."""
_INFO: Final = b"\x01\x00\x02\xff\xff\xff\xff\x00"
"""No overflow row, of no bucket."""
_USUAL: Final = b"\x00"
_NOT_IMPLEMENTED: Final = 48
_WIDTHS: Final = {
    "Bool": 1, "Int8": 1, "UInt8": 1, "Enum8": 1, "Nothing": 1, "Int16": 2, "UInt16": 2, "Enum16": 2,
    "Date": 2, "BFloat16": 2, "Int32": 4, "UInt32": 4, "Float32": 4, "Date32": 4, "DateTime": 4, "Time": 4,
    "IPv4": 4, "Decimal32": 4, "Int64": 8, "UInt64": 8, "Float64": 8, "DateTime64": 8, "Time64": 8,
    "Decimal64": 8, "Int128": 16, "UInt128": 16, "UUID": 16, "IPv6": 16, "Decimal128": 16, "Int256": 32,
    "UInt256": 32, "Decimal256": 32,
}  # fmt: skip
_TYPE: Final = re.compile(r"(\w+)(?:\((.*)\))?", re.DOTALL)
_TOKEN: Final = re.compile(r"'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|.", re.DOTALL)

Skip = Callable[[bytes, int, int], int]
"""Where the data of a column ends: of bytes, the place where it begins, and how many rows it has."""


class Form:
    """A type: ``prefix`` is how many bytes stand before the data of a column, once."""

    def __init__(self, skip: Skip, prefix: int = 0) -> None:
        self.skip = skip
        self.prefix = prefix


def revised(data: bytes) -> bytes:
    """Whole blocks of revision 0 as REVISION has them. Raises ClickHouseError for types it cannot measure."""
    parts: list[bytes] = []
    at = 0
    while at < len(data):
        begin = at
        columns, at = _number(data, at)
        rows, at = _number(data, at)
        parts += (_INFO, data[begin:at])
        for _ in range(columns):
            begin = at
            _, at = _text(data, at)
            kind, at = _text(data, at)
            parts += (data[begin:at], _USUAL)
            if rows:
                form, begin = _form(kind.decode()), at
                at = form.skip(data, at + form.prefix, rows)
                parts.append(data[begin:at])
    return b"".join(parts)


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable length, seven bits a byte."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _text(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = _number(data, at)
    return data[at : at + size], at + size


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "little")


@lru_cache(maxsize=1024)
def _form(text: str) -> Form:
    match = _TYPE.fullmatch(text)
    name, inside = (match[1], match[2] or "") if match else (text, "")
    if name in _WIDTHS:
        return _fixed(_WIDTHS[name])
    if name == "Decimal":
        digits = int(inside.partition(",")[0])
        return _fixed(4 if digits < 10 else 8 if digits < 19 else 16 if digits < 39 else 32)
    if name == "FixedString":
        return _fixed(int(inside))
    if name == "String":
        return Form(_strings)
    if name.startswith("Interval"):
        return _fixed(8)
    parts = _split(inside, ",")
    if name == "SimpleAggregateFunction":
        return _form(parts[-1])
    if name == "Nullable":
        return _nullable(_form(inside))
    if name == "LowCardinality":
        return _low_cardinality(inside)
    if name == "Array":
        return _array(_form(inside))
    if name == "Tuple" and inside:
        return _tuple([_form(_split(part, " ")[-1]) for part in parts])
    if name == "Map":
        return _array(_tuple([_form(part) for part in parts]))
    raise ClickHouseError(
        _NOT_IMPLEMENTED,
        f"Native with client_protocol_version: columns of type {text} are not served; convert them with "
        "toString or toJSONString, or ask for another FORMAT",
    )


def _split(text: str, sign: str) -> list[str]:
    """Cut at this sign where it is outside of quotes and parentheses."""
    depth, parts = 0, [""]
    for token in _TOKEN.findall(text):
        depth += (token == "(") - (token == ")")
        if token == sign and not depth:
            parts.append("")
        else:
            parts[-1] += token
    return [part.strip() for part in parts]


def _fixed(width: int) -> Form:
    return Form(lambda _data, at, rows: at + rows * width)


def _strings(data: bytes, at: int, rows: int) -> int:
    for _ in range(rows):
        size = data[at]
        at += 1
        if size > 0x7F:
            size, at = _number(data, at - 1)
        at += size
    return at


def _nullable(inner: Form) -> Form:
    return Form(lambda data, at, rows: inner.skip(data, at + rows, rows), inner.prefix)


def _array(inner: Form) -> Form:
    def skip(data: bytes, at: int, rows: int) -> int:
        at += 8 * rows
        return inner.skip(data, at, _word(data, at - 8)) if rows else at

    return Form(skip, inner.prefix)


def _tuple(inner: list[Form]) -> Form:
    def skip(data: bytes, at: int, rows: int) -> int:
        for one in inner:
            at = one.skip(data, at, rows)
        return at

    return Form(skip, sum(one.prefix for one in inner))


def _low_cardinality(inside: str) -> Form:
    match = _TYPE.fullmatch(inside)
    keys = _form(match[2] if match and match[1] == "Nullable" else inside)

    def skip(data: bytes, at: int, rows: int) -> int:
        if not rows:
            return at
        width = 1 << (data[at] & 0x0F)
        at = keys.skip(data, at + 16, _word(data, at + 8))
        return at + 8 + width * _word(data, at)

    return Form(skip, 8)
