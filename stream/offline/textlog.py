"""Plain logs: every line goes through the log rules, and numbers in it become steps."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Final

from emitter.vocabulary import events
from stream.offline.lines import lines
from stream.offline.opening import Opened
from stream.offline.points import BadLines, Point, Points
from stream.offline.textnumbers import LineNumbers
from stream.offline.times import LineTimes

_PREFIX = re.compile(r"\[(?:[A-Za-z_]+)(?P<rank>\d{1,6})\]:\s?|(?P<task>\d{1,6}): ")
_RANK_TAG = re.compile(r"\[[Rr]ank[ _:]?(?P<rank>\d{1,6})\]")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")
_LOOKED_AT: Final = 120


def read(source: Opened, bad: BadLines) -> Points:
    """A log line for each line, and the steps and evals found in it. Raises ReadError."""
    del bad  # any text is a log line
    times = LineTimes(datetime.now(tz=timezone.utc).year)
    numbers: dict[int | None, LineNumbers] = {}
    for number, raw in lines(source):
        text, rank = _cleaned(raw.decode("utf-8", "replace"))
        if not text:
            continue
        time = times.of(text)
        reader = numbers.get(rank)
        if reader is None:
            reader = numbers[rank] = LineNumbers()
        yield Point(events.LOG, {}, time=time, rank=rank, body=text, line=number)
        for point in reader.points(text, number):
            point.rank = rank if point.rank is None else point.rank
            point.time = time
            yield point


def _cleaned(line: str) -> tuple[str, int | None]:
    """The line without colours and without the launcher's prefix, and the rank that this names."""
    text = line.rstrip("\r")
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    prefix = _PREFIX.match(text)
    if prefix:
        return text[prefix.end() :], int(prefix["rank"] or prefix["task"])
    tag = _RANK_TAG.search(text, 0, _LOOKED_AT) if "ank" in text[:_LOOKED_AT] else None
    return text, int(tag["rank"]) if tag else None
