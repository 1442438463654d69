"""How far the records of one run attempt have been read: nothing older is still to come.

A source is one emitter. Within a source records are in order already; this is about several of them.
"""

from __future__ import annotations

import heapq
from typing import Any, Final

from stream.diagnose.clock import Clock, Reading
from stream.diagnose.passing import ENDLESS as ENDLESS
from stream.diagnose.passing import NEVER as NEVER
from stream.diagnose.passing import Passing
from stream.diagnose.paths import Paths
from stream.events import Resource

APPEAR_NS: Final = 60_000_000_000
"""Ranks that were not heard by then, counted from the attempt's first event, are not waited for."""
BEHIND_NS: Final = 1_800_000_000_000
"""A source that is further behind, by its usual delay, is not waited for either."""


class _Source:
    """``heard``: up to where in order; ``last``: its latest place; ``lag_ns``: its usual delay, the least
    seen; ``read_at``: the clock when it was last heard.
    """

    __slots__ = ("ended", "gateway", "heard", "lag_ns", "last", "read_at")

    def __init__(self) -> None:
        self.heard = self.last = self.read_at = NEVER
        self.lag_ns = ENDLESS
        self.ended = False
        self.gateway: str | None = None

    def save(self) -> list[Any]:
        return [self.heard, self.last, self.ended, self.gateway, self.lag_ns, self.read_at]

    @classmethod
    def load(cls, saved: list[Any]) -> _Source:
        made = cls()
        made.heard, made.last, made.ended, made.gateway, made.lag_ns, made.read_at = saved
        return made


class Watermark:
    """Two levels of one attempt, in ns of event time; everything at or before a level has been read.

    ``strict``: all live sources were heard beyond it (all ``world_size`` of them where that is known);
    ``bounded``: what was read up to it has waited ``lateness_ns`` of the ticks' clock, through which its
    gateways were there, and nobody is still sending what is older (Passing). Each includes what the sources'
    ends allow; ``strict`` is never below ``bounded``. Before any tick, and for recordings without times,
    ``bounded`` lies ``lateness_ns`` behind the newest event.
    """

    def __init__(self, lateness_ns: int) -> None:
        self.lateness_ns = lateness_ns
        self.newest = NEVER
        self._first: int | None = None
        self._clocked = False
        self._hold = ENDLESS
        self._numbered = False
        self._sources: dict[str, _Source] = {}
        self._live = 0
        self._behind: dict[str, None] = {}
        self._paths = Paths()
        self._passing = Passing()
        self._ranks: dict[tuple[str | None, int], None] = {}
        self._world = 0
        self._lowest: list[tuple[int, str]] = []

    def hear(self, source: str, resource: Resource, time_ns: int, in_order: bool, reading: Reading) -> int:
        """An event of a source, read there and then; its place in the order of time.

        ``in_order``: the source's events of this kind come in order, so this one says that everything
        before it has come, and its place is never before theirs.
        """
        one = self._sources.get(source)
        if one is None:
            one = self._meet(source, resource)
        elif one.ended:
            self._revive(source, one, reading.now)
        if one.gateway != resource.gateway:
            self._paths.move(one.gateway, resource.gateway, reading.now)
            one.gateway = resource.gateway
        place = time_ns
        if in_order:
            if time_ns > one.heard:
                one.heard = time_ns
            else:
                place = one.heard
            self._numbered = True
            at = reading.at
            if at is not None:
                one.read_at = at
                lag_ns = at - place
                if lag_ns < one.lag_ns:
                    one.lag_ns = lag_ns
                if self._behind or lag_ns - one.lag_ns > self.lateness_ns:
                    self._delay(source, lag_ns - one.lag_ns)
        if self._first is None:
            self._first = place
        if reading.now is not None:
            self._clocked = True
        if place > self.newest:
            self.newest = place
        if place > one.last:
            one.last = place
        self._passing.read(place if in_order or not self._numbered else NEVER, reading)
        return place

    def end(self, source: str) -> None:
        """This source said that it ends: nothing waits for it any more."""
        one = self._sources.get(source)
        if one is None:
            return
        one.ended = True
        self._live -= 1
        self._behind.pop(source, None)
        self._paths.leave(one.gateway)

    def tick(self, clock: Clock) -> None:
        """The clock moved, or a gateway's beacon came."""
        if clock.now is None:
            return
        self._clocked = True
        limit = self._paths.proven(clock, clock.now) - self.lateness_ns
        self._passing.tick(clock, limit)
        self._hold = ENDLESS
        for source in list(self._behind):
            one = self._sources[source]
            if one.read_at > limit:
                self._hold = min(self._hold, one.heard)
            else:
                del self._behind[source]

    def last(self, source: str) -> int:
        """The latest place of this source."""
        one = self._sources.get(source)
        return NEVER if one is None else one.last

    @property
    def alone(self) -> bool:
        """Whether there is one source only, and nobody else is expected."""
        return len(self._sources) <= 1 and self._all_here()

    @property
    def several(self) -> bool:
        """Whether more than one source was heard."""
        return len(self._sources) > 1

    def knows(self, source: str) -> bool:
        """Whether this source was heard, and has not ended."""
        one = self._sources.get(source)
        return one is not None and not one.ended

    @property
    def expected(self) -> int:
        """How many ranks there are, 0 where nobody knows."""
        return self._world

    def levels(self) -> tuple[int, int]:
        """``strict`` and ``bounded``, see above."""
        here = self._all_here()
        if here and self._live == 0 and self._sources:
            return ENDLESS, ENDLESS
        if self._first is None:
            return NEVER, NEVER
        bounded = self._bounded()
        return max(self._low() - 1, bounded) if here else bounded, bounded

    def _bounded(self) -> int:
        if not self._clocked:
            return self.newest - self.lateness_ns
        level = self._passing.level
        return level if level < self._hold else self._hold

    def _meet(self, source: str, resource: Resource) -> _Source:
        """Know of a source."""
        one = self._sources[source] = _Source()
        self._live += 1
        self._world = max(self._world, resource.world_size or 0)
        if resource.rank is not None:
            self._ranks[resource.role, resource.rank] = None
        heapq.heappush(self._lowest, (NEVER, source))
        return one

    def _revive(self, source: str, one: _Source, now: int | None) -> None:
        """A source without an id of its own starts again."""
        one.ended = False
        self._live += 1
        self._paths.move(None, one.gateway, now)
        heapq.heappush(self._lowest, (one.heard, source))

    def _delay(self, source: str, more_ns: int) -> None:
        """Whether it is sending what it had kept: records so much older than its usual ones."""
        if self.lateness_ns < more_ns <= BEHIND_NS:
            self._behind[source] = None
        else:
            self._behind.pop(source, None)

    def _all_here(self) -> bool:
        """Whether no source is expected that was not heard yet."""
        if len(self._ranks) >= self._world:
            return True
        return self._first is not None and self._bounded() + self.lateness_ns - self._first > APPEAR_NS

    def _low(self) -> int:
        """The least of what live sources were heard to."""
        lowest, sources = self._lowest, self._sources
        while lowest:
            at, source = lowest[0]
            one = sources[source]
            if one.ended:
                heapq.heappop(lowest)
            elif one.heard > at:
                heapq.heapreplace(lowest, (one.heard, source))
            else:
                return at
        return ENDLESS

    def save(self) -> list[Any]:
        """The state as plain data."""
        return [
            self.newest, self._first, self._clocked, self._hold, self._numbered,
            [[source, *one.save()] for source, one in self._sources.items()],
            list(self._behind), self._paths.save(), self._passing.save(),
            [list(rank) for rank in self._ranks], self._world,
        ]  # fmt: skip

    @classmethod
    def load(cls, lateness_ns: int, state: list[Any]) -> Watermark:
        """A watermark that goes on where ``save`` was called."""
        made = cls(lateness_ns)
        made.newest, made._first, made._clocked, made._hold, made._numbered, *rest = state
        sources, behind, paths, passing, ranks, made._world = rest
        made._sources = {source: _Source.load(one) for source, *one in sources}
        made._live = sum(not one.ended for one in made._sources.values())
        made._behind = dict.fromkeys(behind)
        made._paths, made._passing = Paths.load(paths), Passing.load(passing)
        made._ranks = dict.fromkeys((role, rank) for role, rank in ranks)
        made._lowest = sorted((one.heard, source) for source, one in made._sources.items())
        return made
