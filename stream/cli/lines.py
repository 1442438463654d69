"""Lines of a file or of stdin in bounded memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

STDIN: Final = Path("-")
_KEEP: Final = 65_536
"""Bytes kept of one line; log rules look at fewer characters than that (logmatch.MAX_LINE)."""


def read_lines(path: Path) -> Iterator[str]:
    """The lines, split on newline only; a carriage return before it is dropped, as is what exceeds _KEEP.

    Bytes that are not UTF-8 become U+FFFD. Raises OSError where the file cannot be read.
    """
    if path == STDIN:
        yield from _lines(sys.stdin.buffer)
        return
    with path.open("rb") as file:
        yield from _lines(file)


def _lines(file: BinaryIO) -> Iterator[str]:
    while head := file.readline(_KEEP):
        part = head
        while part and not part.endswith(b"\n"):
            part = file.readline(_KEEP)
        yield head.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "replace")
