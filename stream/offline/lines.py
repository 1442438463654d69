"""Lines of text in bounded memory: numbered by newline only, endless ones cut."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from stream.offline.opening import Opened, readable

CHUNK: Final = 65_536
MAX_LINE: Final = 1 << 20


def blocks(source: Opened) -> Iterator[tuple[int, bytes]]:
    """Whole lines, many at once, with the number of the first (from 1). Raises ReadError.

    A line longer than MAX_LINE comes cut, and what it says beyond that is lost.
    """
    number, kept, cut = 1, b"", False
    while True:
        with readable(source.name, f"after line {number - 1 + bool(kept)}"):
            chunk = _read(source)
        if not chunk:
            break
        end = chunk.rfind(b"\n") + 1
        if not end:
            kept, cut = (kept, True) if len(kept) >= MAX_LINE else (kept + chunk, cut)
            continue
        whole = kept + chunk[:end] if not cut else kept + chunk[chunk.find(b"\n") : end]
        kept, cut = chunk[end:], False
        yield number, whole
        number += whole.count(b"\n")
    if kept:
        yield number, kept


def _read(source: Opened) -> bytes:
    """What is there now, up to a chunk: a pipe is read as it comes."""
    return source.stream.read1(CHUNK)


def lines(source: Opened) -> Iterator[tuple[int, bytes]]:
    """Each line with its number, without its newline. Raises ReadError."""
    for number, block in blocks(source):
        for offset, line in enumerate(block.removesuffix(b"\n").split(b"\n")):
            yield number + offset, line
