"""CSV of steps: a header line, then numbers; comma, semicolon or tab."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Final

from stream.offline.flat import Flat
from stream.offline.lines import lines
from stream.offline.opening import Opened
from stream.offline.points import Notes, Points

DELIMITERS: Final = (",", ";", "\t")


def delimiter_of(header: str) -> str | None:
    """The delimiter of a header line, or None where it has none of those we know."""
    counted = max((header.count(mark), mark) for mark in DELIMITERS)
    return counted[1] if counted[0] else None


def read(source: Opened, notes: Notes) -> Points:
    """Points of each row; a row with too many or too few cells is counted and skipped. Raises ReadError."""
    texts = _texts(source)
    header = next(texts, "").removeprefix("\ufeff")
    rows = csv.reader(texts, delimiter=delimiter_of(header) or ",")
    names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter_of(header) or ","), [])]
    flat = Flat()
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            notes.skip(rows.line_num + 1, f"expected a row of a table, got text that is none ({error})")
            continue
        if row is None:
            return
        if len(row) == len(names):
            cells = {name: cell for name, cell in zip(names, row, strict=True) if cell}
            yield from flat.points(cells, rows.line_num + 1)
        elif row:
            notes.skip(rows.line_num + 1, f"expected {len(names)} cells as in the header, got {len(row)}")


def _texts(source: Opened) -> Iterator[str]:
    for _, line in lines(source):
        yield line.decode("utf-8", "replace").removesuffix("\r").replace("\0", "\ufffd")
