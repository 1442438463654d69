"""JSON lines: one object a line; also one array of objects."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from stream.offline.flat import Flat
from stream.offline.lines import blocks
from stream.offline.opening import Opened, readable
from stream.offline.points import Notes, Points

_decode = msgspec.json.Decoder().decode
_decode_lines = msgspec.json.Decoder(dict[str, Any]).decode_lines


def read(source: Opened, notes: Notes) -> Points:
    """Points of each object; a line that is none is counted and skipped. Raises ReadError."""
    points = Flat().points
    for number, block in blocks(source):
        for line, record in enumerate(_objects(block), number):
            if type(record) is dict:
                yield from points(record, line)
            elif record is not None:
                notes.skip(line, f"expected a JSON object, got {record}")


def _objects(block: bytes) -> Iterable[Any]:
    """What is in each line: an object, None where it is empty, or a text that says what is there instead."""
    try:
        records = _decode_lines(block)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        records = []
    lines = block.removesuffix(b"\n").split(b"\n")
    if len(records) == len(lines):
        return records
    return (_object(line) if line.strip() else None for line in lines)


def _object(line: bytes) -> Any:
    """The object in this line, or a text that says what is there instead."""
    try:
        record = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # The strict decoder knows no NaN; the standard library's does.
        try:
            record = json.loads(line.decode("utf-8", "replace"))
        except (ValueError, RecursionError) as error:
            return _told(error)
    except RecursionError:
        return "an object nested too deep"
    return record if isinstance(record, dict) else _kind(record)


def _told(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"text that is no JSON ({error.msg} at column {error.colno})"
    return "an object nested too deep" if isinstance(error, RecursionError) else str(error)


def _kind(record: Any) -> str:
    return {list: "a list", str: "a text", bool: "a truth value", type(None): "null"}.get(
        type(record), "a number"
    )


def read_array(source: Opened, notes: Notes) -> Points:
    """Points of an array of objects. Raises ReadError."""
    from stream.offline.trainer_state import load

    with readable(source.name, ""):
        text = source.stream.read().decode("utf-8", "replace")
    flat = Flat()
    for index, record in enumerate(load(source.name, text, text.find("["))):
        if isinstance(record, dict):
            yield from flat.points(record, 0)
        else:
            notes.skip(index + 1, f"expected a JSON object, got {_kind(record)}")
