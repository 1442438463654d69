"""Sequence numbers of emitters as ranges that lie in one bucket each, as history keeps and finds them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

BUCKET: Final = 1024
_SPANS: Final = "/spans"


class Range(NamedTuple):
    """Numbers from first to last (both included) of one sender, all in one bucket."""

    emitter: str
    first: int
    last: int

    @property
    def bucket(self) -> int:
        """Under which history finds it."""
        return self.first // BUCKET

    def numbers(self) -> range:
        """Each of them."""
        return range(self.first, self.last + 1)


def spans_of(emitter: str) -> str:
    """The sender under which an emitter's spans are kept."""
    return emitter + _SPANS


def span_number(span_id: bytes) -> int:
    """A span's id as a signed number of 64 bits."""
    return int.from_bytes(span_id[-8:], "big", signed=True)


def ranges(numbers: Iterable[tuple[str, int]]) -> Iterator[Range]:
    """The numbers of all senders as ranges, in order."""
    emitter, first, last = "", 0, -1
    for name, number in sorted(numbers):
        if name == emitter and number == last + 1 and number % BUCKET:
            last = number
            continue
        if last >= first:
            yield Range(emitter, first, last)
        emitter, first, last = name, number, number
    if last >= first:
        yield Range(emitter, first, last)
