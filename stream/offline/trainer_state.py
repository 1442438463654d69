"""Hugging Face's trainer_state.json: the numbers are in ``log_history``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from stream.offline.errors import ReadError
from stream.offline.flat import Flat
from stream.offline.opening import Opened, readable
from stream.offline.points import Notes, Points

HISTORY: Final = "log_history"
MAX_BYTES: Final = 1 << 30
_decode = msgspec.json.Decoder().decode
_START = re.compile(rf'"{HISTORY}"\s*:\s*\[')
_BETWEEN = re.compile(r"[\s,]*")


def read(source: Opened, notes: Notes) -> Points:
    """Points of the history, also of one that breaks off, up to there. Raises ReadError."""
    with readable(source.name, ""):
        text = source.stream.read(MAX_BYTES).decode("utf-8", "replace")
    start = _START.search(text)
    if start is None:
        raise ReadError(source.name, "", f"expected `{HISTORY}` in it (trainer_state.json), found none")
    flat, whole = Flat(), _whole(text)
    for index, record in enumerate(load(source.name, text, start.end() - 1) if whole is None else whole):
        if isinstance(record, dict):
            yield from flat.points(record, 0)
        else:
            notes.skip(index + 1, f"expected an object in {HISTORY}")


def _whole(text: str) -> list[Any] | None:
    """The history of a state that is sound JSON; None of one that has to be read piece by piece."""
    try:
        state = _decode(text)
    except (msgspec.DecodeError, RecursionError):
        # The strict decoder knows no NaN; the standard library's does.
        try:
            state = json.loads(text)
        except (ValueError, RecursionError):
            return None
    history = state.get(HISTORY) if isinstance(state, dict) else None
    return history if isinstance(history, list) else None


def load(name: str, text: str, start: int) -> Iterator[Any]:
    """The items of the array that begins at ``start``, one by one. Raises ReadError where it breaks."""
    decoder = json.JSONDecoder()
    position, count = start + 1, 0
    while True:
        position = _skip(text, position)
        if text[position : position + 1] == "]":
            return
        try:
            item, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            raise ReadError(name, _place(text, position, count), _told(error, text)) from None
        count += 1
        yield item


def _skip(text: str, position: int) -> int:
    found = _BETWEEN.match(text, position)
    return found.end() if found else position


def _place(text: str, position: int, count: int) -> str:
    return f"line {text.count(chr(10), 0, position) + 1} (after {count} records)"


def _told(error: Exception, text: str) -> str:
    cut = isinstance(error, json.JSONDecodeError) and (
        error.pos >= len(text.rstrip()) - 1 or error.msg.startswith("Unterminated")
    )
    if cut:
        return "the JSON ends in the middle; the rest is lost"
    if isinstance(error, RecursionError):
        return "the JSON is nested too deep"
    return f"the JSON is broken ({error}); the rest is lost"
