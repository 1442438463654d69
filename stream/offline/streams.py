"""The points of one run in order: files of one rank chained, ranks merged by time or by step."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import chain, islice, pairwise
from operator import attrgetter
from typing import Final

from stream.offline import formats
from stream.offline.attempts import Attempts
from stream.offline.errors import OfflineError, ReadError
from stream.offline.finding import Group, is_stdin
from stream.offline.naming import Named
from stream.offline.opening import opened
from stream.offline.points import Notes, Point, Points
from stream.offline.sieve import Sieve

LOOKED_AT: Final = 256
LOOKED_AT_PIPE: Final = 16
_SINCE_1973_NS: Final = 10**17

Tell = Callable[[OfflineError], None]


class Stream:
    """One file, opened: its first points are known, so that it can be said whether it has times."""

    def __init__(self, file: Named, tell: Tell, sieve: Sieve | None, looked_at: int) -> None:
        self.file = file
        self.notes = Notes(file.shown)
        points = _reading(file, self.notes, sieve, tell)
        head = list(islice(points, looked_at))
        self.timed = _has_times(head)
        if self.timed:
            _backfill(head)
        self.points: Points = chain(head, points)


def _reading(file: Named, notes: Notes, sieve: Sieve | None, tell: Tell) -> Points:
    """The file's points; what is wrong with it is told, and ends it."""
    try:
        with opened(file.path, file.shown) as source:
            yield from formats.read(source, notes, sieve)
    except ReadError as error:
        tell(error)
    if notes.bad:
        tell(OfflineError(str(notes)))


def _has_times(head: list[Point]) -> bool:
    """Whether the times of these points are those of a clock: hardly ever going back, and going on.

    A column of durations called `time` goes up and down; times since 1973 are believed as they are.
    """
    times = [point.time for point in head if point.time is not None]
    if not times:
        return False
    forward = sum(second >= first for first, second in pairwise(times))
    return forward >= 0.9 * (len(times) - 1) and (times[-1] > times[0] or times[0] >= _SINCE_1973_NS)


class Ordered:
    """All points of a group. ``timed``: every file has times; otherwise none is used.

    ``sieve``: log lines that no rule can match are left out.
    """

    ended: int | None = None

    def __init__(self, group: Group, tell: Tell, sieve: Sieve | None = None) -> None:
        looked_at = LOOKED_AT_PIPE if is_stdin(group) else LOOKED_AT
        self._streams = [Stream(file, tell, sieve, looked_at) for file in group.files]
        self.timed = bool(self._streams) and all(stream.timed for stream in self._streams)

    @property
    def lines(self) -> int:
        """Lines of logs read so far."""
        return sum(stream.notes.lines for stream in self._streams)

    def __iter__(self) -> Points:
        ranks: dict[int | None, list[Stream]] = {}
        for stream in self._streams:
            ranks.setdefault(stream.file.rank, []).append(stream)
        chained = [self._chained(streams) for streams in ranks.values()]
        if len(chained) == 1:
            return chained[0]
        return heapq.merge(*chained, key=attrgetter("order"))

    def _chained(self, streams: list[Stream]) -> Points:
        """The points of one rank: by time where several files are open side by side."""
        attempts = Attempts()
        owned = [_owned(stream) for stream in streams]
        if len(owned) == 1 or not self.timed:
            points: Points = chain.from_iterable(owned)
        else:
            points = heapq.merge(*(_in_time(one) for one in owned), key=lambda point: point.time or 0)
        return _by_time(points, attempts) if self.timed else _by_step(points, attempts)


def _by_time(points: Points, attempts: Attempts) -> Points:
    newest = 0
    for point in points:
        point.attempt = attempt = attempts.of(point)
        if point.time is None:
            point.time = newest
        elif point.time > newest:
            newest = point.time
        point.order = (attempt, newest)
        yield point


def _by_step(points: Points, attempts: Attempts) -> Points:
    step = -1
    for point in points:
        point.attempt = attempt = attempts.of(point)
        step = point.step if point.step is not None else step
        point.order = (attempt, step)
        yield point


def _owned(stream: Stream) -> Points:
    """Points that say of which rank and attempt they are, as the file's name has it."""
    shown, attempt, rank = stream.file.shown, stream.file.attempt, stream.file.rank or 0
    for point in stream.points:
        point.file = shown
        if point.rank is None:
            point.rank = rank
        if attempt is not None and point.attempt is None:
            point.attempt = attempt
        yield point


def _in_time(points: Points) -> Points:
    """Points without a time take the one before them."""
    last: int | None = None
    for point in points:
        last = point.time = point.time if point.time is not None else last
        yield point


def _backfill(head: list[Point]) -> None:
    """What comes before the first time happened no later than that."""
    first = next((index for index, point in enumerate(head) if point.time is not None), 0)
    for point in head[:first]:
        point.time = head[first].time
