"""CSV of steps: a header line, then numbers; comma, semicolon or tab."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Final

import msgspec

from stream.offline.flat import BODY_KEYS, Flat
from stream.offline.lines import blocks
from stream.offline.opening import Opened
from stream.offline.points import Notes, Points

DELIMITERS: Final = (",", ";", "\t")
_TEXTS: Final = frozenset(("run", "role", "node", "metric", "status", *BODY_KEYS))
"""Columns whose cells stay texts, even those that spell numbers."""
_QUOTE: Final = b'"'

_decode = msgspec.json.Decoder(list[list[int | float]]).decode

Row = list[Any]
Block = tuple[int, bytes]


def delimiter_of(header: str) -> str | None:
    """The delimiter of a header line, or None where it has none of those we know."""
    counted = max((header.count(mark), mark) for mark in DELIMITERS)
    return counted[1] if counted[0] else None


def read(source: Opened, notes: Notes) -> Points:
    """Points of each row; a row with too many or too few cells is counted and skipped. Raises ReadError."""
    parts = blocks(source)
    number, block = next(parts, (1, b""))
    first, _, rest = block.partition(b"\n")
    header = _text(first).removeprefix("\ufeff")
    mark = delimiter_of(header) or ","
    names = [name.strip() for name in next(csv.reader([header], delimiter=mark), [])]
    flat = Flat()
    for line, row in _rows(chain([(number + 1, rest)], parts), mark, _TEXTS.isdisjoint(names), notes):
        if len(row) == len(names):
            cells = zip(names, row, strict=True)
            # Cells are numbers, or texts of which the empty ones say nothing.
            yield from flat.points({name: cell for name, cell in cells if cell != ""}, line)
        elif row:
            notes.skip(line, f"expected {len(names)} cells as in the header, got {len(row)}")


def _rows(parts: Iterator[Block], mark: str, numeric: bool, notes: Notes) -> Iterator[tuple[int, Row]]:
    """Each row with its line; blocks of nothing but numbers are read in one go."""
    for number, block in parts:
        found = _numbers(block, mark.encode()) if numeric else None
        if found is not None:
            yield from enumerate(found, number)
        elif _QUOTE in block:
            # A quoted cell may go on over lines, and so over blocks.
            lines = chain.from_iterable(_lines(part) for _, part in chain([(number, block)], parts))
            yield from _texts(lines, number, mark, notes)
        else:
            yield from _texts(_lines(block), number, mark, notes)


def _numbers(block: bytes, mark: bytes) -> list[list[int | float]] | None:
    """The rows of a block, as a JSON decoder reads numbers; None where there is anything else in it."""
    if mark != b",":
        if b"," in block:
            return None
        block = block.replace(mark, b",")
    try:
        return _decode(b"[[" + block.removesuffix(b"\n").replace(b"\n", b"],[") + b"]]")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _texts(lines: Iterable[str], number: int, mark: str, notes: Notes) -> Iterator[tuple[int, Row]]:
    rows = csv.reader(lines, delimiter=mark)
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            told = f"expected a row of a table, got text that is none ({error})"
            notes.skip(number + rows.line_num - 1, told)
            continue
        if row is None:
            return
        yield number + rows.line_num - 1, row


def _lines(block: bytes) -> list[str]:
    return [f"{_text(line)}\n" for line in block.removesuffix(b"\n").split(b"\n")] if block else []


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").removesuffix("\r").replace("\0", "\ufffd")
