"""Plain logs: every line goes through the log rules, and numbers in it become steps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any, Final

import re2

from emitter.vocabulary import events
from stream.offline.lines import blocks
from stream.offline.opening import Opened
from stream.offline.points import Notes, Point, Points
from stream.offline.sieve import Sieve
from stream.offline.textnumbers import LineNumbers
from stream.offline.times import LineTimes
from stream.rulelang.logs import options

_PREFIX = re.compile(r"\[[A-Za-z_]+(?P<rank>\d{1,6})\]:\s?")
_TASK = re.compile(r"(?P<rank>\d{1,6}): ")
_RANK_TAG = re.compile(r"\[[Rr]ank[ _:]?(?P<rank>\d{1,6})\]")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")
_LABEL = re.compile(rb"\d{1,6}: ")
_LABELS_IN: Final = 100
_LOOKED_AT: Final = 120
_PIECE: Final = 2048
_BAR: Final = b"%|"
_RANK_MARKS: Final = (b"]:", b"ank")
"""Without one of these no line names a rank, but for those of `srun --label`."""
_BACK: Final = 200
"""How many lines back a line without a time may look for one."""


def _counting_words() -> Any:
    setting = options()
    setting.encoding = re2.Options.Encoding.LATIN1
    setting.case_sensitive = False
    return re2.compile(rb"(?m)^.*(?:loss|step|iter|epoch|update|batch|\blr\b|reward).*$", setting)


class _Log:
    """One log being read: what its last lines said of time and, by rank, of progress."""

    def __init__(self) -> None:

        self._times = LineTimes(datetime.now(tz=timezone.utc).year)
        self._numbers: dict[int | None, LineNumbers] = {}
        self._time: int | None = None
        self._labelled: bool | None = None

    def look(self, block: bytes) -> None:
        """The first block says whether its lines begin with the number of a task (`srun --label`)."""
        if self._labelled is None:
            lines = [line for line in block.split(b"\n")[:_LABELS_IN] if line.strip()]
            self._labelled = (
                bool(lines) and sum(_LABEL.match(line) is not None for line in lines) > len(lines) / 2
            )

    def every_line(self, number: int, block: bytes) -> Iterator[Point]:
        """A log line for each line of the block, and the numbers in it."""
        for offset, raw in enumerate(block.removesuffix(b"\n").split(b"\n")):
            text, rank = _cleaned(raw.decode("utf-8", "replace"), self._labelled)
            if not text:
                continue
            time = self._times.of(text)
            self._time = time if time is not None else self._time
            points = self._of(text, rank, number + offset, time)
            step = points[0].step if points else None
            yield Point(events.LOG, {}, step, time=time, rank=rank, body=text, line=number + offset)
            yield from points

    def numbers_only(self, number: int, block: bytes, words: Any) -> Iterator[Point]:
        """The numbers in the lines of a block that say nothing else."""
        counted = done = 0
        for found in words.finditer(block):
            start, end = found.span()
            self._bars(block, done, start)
            number += block.count(b"\n", counted, start)
            counted, done = start, end
            text, rank = _cleaned(block[start:end].decode("utf-8", "replace"), self._labelled)
            points = self._of(text, rank, number, None)
            if points:
                time = self._times.of(text)
                time = self._before(block, start) if time is None else time
                self._time = time if time is not None else self._time
            for point in points:
                point.time = self._time
                yield point
        self._bars(block, done, len(block))
        time = self._before(block, len(block))
        self._time = time if time is not None else self._time

    def _bars(self, block: bytes, start: int, end: int) -> None:
        """Of the progress bars on lines between others only the last one of each rank counts."""
        seen: set[int | None] = set()
        one = not self._labelled and all(block.find(mark, start, end) < 0 for mark in _RANK_MARKS)
        while (at := block.rfind(_BAR, start, end)) >= 0:
            end = block.rfind(b"\n", start, at) + 1 or start
            line = block[end : block.find(b"\n", at) + 1 or len(block)]
            text, rank = _cleaned(line.decode("utf-8", "replace"), self._labelled)
            if rank not in seen and self._reader(rank).see_bar(text):
                seen.add(rank)
                if one:
                    return

    def _before(self, block: bytes, end: int) -> int | None:
        """The time of the nearest line above that has one."""
        for _ in range(_BACK):
            start = block.rfind(b"\n", 0, max(end - 1, 0)) + 1
            text, _rank = _cleaned(block[start:end].decode("utf-8", "replace"), self._labelled)
            time = self._times.of(text)
            if time is not None or start == 0:
                return time
            end = start
        return None

    def _of(self, text: str, rank: int | None, number: int, time: int | None) -> list[Point]:
        points = self._reader(rank).points(text, number)
        for point in points:
            point.rank = rank if point.rank is None else point.rank
            point.time = time
        return points

    def _reader(self, rank: int | None) -> LineNumbers:
        reader = self._numbers.get(rank)
        if reader is None:
            reader = self._numbers[rank] = LineNumbers()
        return reader


def read(source: Opened, notes: Notes, sieve: Sieve | None = None) -> Points:
    """A log line for each line that a rule may want, and the steps and evals found. Raises ReadError."""
    log, words = _Log(), _counting_words()
    for number, block in blocks(source):
        log.look(block)
        notes.lines += block.count(b"\n") + (not block.endswith(b"\n"))
        if sieve is None or not sieve.lets_through(block):
            pieces = [(number, block, sieve is None)]
        else:
            pieces = [(first, piece, sieve.lets_through(piece)) for first, piece in _pieces(number, block)]
        for first, piece, wanted in pieces:
            yield from log.every_line(first, piece) if wanted else log.numbers_only(first, piece, words)


def _pieces(number: int, block: bytes) -> Iterator[tuple[int, bytes]]:
    """A block cut smaller, so that one line of interest makes few others be looked at."""
    start = 0
    while start < len(block):
        end = block.find(b"\n", start + _PIECE) + 1 or len(block)
        yield number, block[start:end]
        number += block.count(b"\n", start, end)
        start = end


def _cleaned(line: str, labelled: bool | None) -> tuple[str, int | None]:
    """The line without colours and without the launcher's prefix, and the rank that this names."""
    text = line.rstrip("\r\n")
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    prefix = _PREFIX.match(text) or (_TASK.match(text) if labelled else None)
    if prefix:
        return text[prefix.end() :], int(prefix["rank"])
    tag = _RANK_TAG.search(text, 0, _LOOKED_AT) if "ank" in text[:_LOOKED_AT] else None
    return text, int(tag["rank"]) if tag else None
