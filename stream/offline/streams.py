"""The points of one run in order: files of one rank chained, ranks merged by time or by step."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from itertools import chain, islice, pairwise
from operator import attrgetter
from typing import Final

from stream.offline import formats
from stream.offline.attempts import Attempts
from stream.offline.errors import OfflineError, ReadError
from stream.offline.finding import Group, is_stdin
from stream.offline.naming import Named
from stream.offline.opening import opened
from stream.offline.points import BadLines, Point, Points

LOOKED_AT: Final = 256
LOOKED_AT_PIPE: Final = 16

Tell = Callable[[OfflineError], None]


class Placed:
    """A point with its file, its attempt, and where it comes in the order of its run."""

    __slots__ = ("attempt", "file", "order", "point")

    def __init__(self, point: Point, file: str, attempt: int, order: tuple[int, int]) -> None:
        self.point = point
        self.file = file
        self.attempt = attempt
        self.order = order


class Stream:
    """One file, opened: its first points are known, so that it can be said whether it has times."""

    def __init__(self, file: Named, tell: Tell, looked_at: int) -> None:
        self.file = file
        self.bad = BadLines(file.shown)
        points = _reading(file, self.bad, tell)
        head = list(islice(points, looked_at))
        self.timed = _has_times(head)
        if self.timed:
            _backfill(head)
        self.points: Points = chain(head, points)


def _reading(file: Named, bad: BadLines, tell: Tell) -> Points:
    """The file's points; what is wrong with it is told, and ends it."""
    try:
        with opened(file.path, file.shown) as source:
            yield from formats.read(source, bad)
    except ReadError as error:
        tell(error)
    if bad.count:
        tell(OfflineError(str(bad)))


def _has_times(head: list[Point]) -> bool:
    """Whether the times of these points are those of a clock: there, and hardly ever going back."""
    times = [point.time for point in head if point.time is not None]
    if len(times) < 2:
        return bool(times) and times[0] >= 10**17
    forward = sum(second >= first for first, second in pairwise(times))
    return times[-1] > times[0] and forward >= 0.9 * (len(times) - 1)


class Ordered:
    """All points of a group. ``timed``: every file has times; otherwise none is used."""

    def __init__(self, group: Group, tell: Tell) -> None:
        looked_at = LOOKED_AT_PIPE if is_stdin(group) else LOOKED_AT
        self._streams = [Stream(file, tell, looked_at) for file in group.files]
        self.timed = bool(self._streams) and all(stream.timed for stream in self._streams)

    def __iter__(self) -> Iterator[Placed]:
        ranks: dict[int | None, list[Stream]] = {}
        for stream in self._streams:
            ranks.setdefault(stream.file.rank, []).append(stream)
        chained = [self._chained(streams) for streams in ranks.values()]
        if len(chained) == 1:
            return chained[0]
        return heapq.merge(*chained, key=attrgetter("order"))

    def _chained(self, streams: list[Stream]) -> Iterator[Placed]:
        """The points of one rank: by time where several files are open side by side."""
        attempts = Attempts()
        named = [_owned(stream) for stream in streams]
        if len(named) == 1 or not self.timed:
            points: Iterator[tuple[Point, str]] = chain.from_iterable(named)
        else:
            points = heapq.merge(*(_in_time(one) for one in named), key=lambda pair: pair[0].time or 0)
        step, time = -1, 0
        for point, file in points:
            attempt = attempts.of(point)
            if self.timed:
                time = max(time, point.time or time)
                point.time = point.time or time
                yield Placed(point, file, attempt, (attempt, time))
            else:
                step = point.step if point.step is not None else step
                yield Placed(point, file, attempt, (attempt, step))


def _owned(stream: Stream) -> Iterator[tuple[Point, str]]:
    """Points that say of which rank and attempt they are, as the file's name has it."""
    file = stream.file
    for point in stream.points:
        if point.rank is None:
            point.rank = file.rank or 0
        if point.attempt is None:
            point.attempt = file.attempt
        yield point, file.shown


def _in_time(points: Iterator[tuple[Point, str]]) -> Iterator[tuple[Point, str]]:
    """Points without a time take the one before them."""
    last: int | None = None
    for point, file in points:
        last = point.time = point.time if point.time is not None else last
        yield point, file


def _backfill(head: list[Point]) -> None:
    """What comes before the first time happened no later than that."""
    first = next((index for index, point in enumerate(head) if point.time is not None), 0)
    for point in head[:first]:
        point.time = head[first].time
