"""What the encoder wrote, read back: for tests, files and the spool. Not a general OTLP decoder.

Raises ValueError for bytes that are no request of ours.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from emitter._records import Log, Span
from emitter.otlp import wire
from emitter.vocabulary import attributes

Fields = dict[int, list[Any]]
"""Field number to its values in order: ints for varints and fixed widths, bytes for the rest."""


def resource(body: bytes) -> dict[str, Any]:
    """The resource attributes of a request."""
    with _expected():
        group = fields_of(_first(fields_of(body), 1))
        return _attributes(fields_of(_first(group, 1)).get(1, []))


def logs(body: bytes) -> list[Log]:
    """The records of an ExportLogsServiceRequest."""
    with _expected():
        return [_log(fields_of(record)) for record in _records(body)]


def spans(body: bytes) -> list[Span]:
    """The spans of an ExportTraceServiceRequest."""
    with _expected():
        return [_span(fields_of(record)) for record in _records(body)]


@contextmanager
def _expected() -> Iterator[None]:
    """A field of another kind than ours shows as an operation that its value does not have."""
    try:
        yield
    except (AttributeError, TypeError, OverflowError, struct.error) as error:
        raise ValueError(f"expected a request of ours: {error}") from error


def _records(body: bytes) -> Iterator[bytes]:
    for group in fields_of(body).get(1, []):
        for scoped in fields_of(group).get(2, []):
            yield from fields_of(scoped).get(2, [])


def _log(fields: Fields) -> Log:
    found = _attributes(fields.get(6, []))
    body = _value(_first(fields, 5)) if 5 in fields else None
    return Log(
        found.get(attributes.SEQ, -1), _first(fields, 1), _first(fields, 12).decode(), found,
        body, fields.get(2, [0])[0],
    )  # fmt: skip


def _span(fields: Fields) -> Span:
    status = fields_of(_first(fields, 15))
    error = status.get(2, [b""])[0].decode() if status.get(3) == [2] else None
    parent = fields.get(4)
    return Span(
        _first(fields, 5).decode(), _id(_first(fields, 1)), _id(_first(fields, 2)),
        None if parent is None else _id(parent[0]), _first(fields, 7), _first(fields, 8),
        _attributes(fields.get(9, [])), error,
    )  # fmt: skip


def _id(raw: bytes) -> int:
    return int.from_bytes(raw, "big")


def _attributes(pairs: list[bytes]) -> dict[str, Any]:
    found = {}
    for pair in pairs:
        fields = fields_of(pair)
        found[_first(fields, 1).decode()] = _value(_first(fields, 2))
    return found


def _value(data: bytes) -> Any:
    ((kind, values),) = fields_of(data).items()
    value = values[-1]
    if kind == 1:
        return value.decode()
    if kind == 2:
        return bool(value)
    if kind == 3:
        return value - (1 << 64) if value >> 63 else value
    if kind == 4:
        return wire.DOUBLE.unpack(struct.pack("<Q", value))[0]
    raise ValueError(f"expected a bool, int, float or str, got AnyValue field {kind}")


def _first(fields: Fields, number: int) -> Any:
    if number not in fields:
        raise ValueError(f"expected field {number}, got {sorted(fields)}")
    return fields[number][0]


def fields_of(data: bytes) -> Fields:
    """The fields of any protobuf message."""
    found: Fields = {}
    place, end = 0, len(data)
    value: Any
    while place < end:
        tag, place = _varint(data, place)
        kind = tag & 7
        if kind == wire.VARINT:
            value, place = _varint(data, place)
        elif kind == wire.BYTES:
            size, place = _varint(data, place)
            value, place = data[place : place + size], place + size
        elif kind in (wire.FIXED64, wire.FIXED32):
            size = 8 if kind == wire.FIXED64 else 4
            value, place = int.from_bytes(data[place : place + size], "little"), place + size
        else:
            raise ValueError(f"expected protobuf, got wire type {kind} at byte {place}")
        found.setdefault(tag >> 3, []).append(value)
    if place != end:
        raise ValueError(f"expected {place} bytes, got {end}: cut off")
    return found


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if place >= len(data):
            raise ValueError("expected protobuf, got an end inside a number")
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
