"""How far the records of one run attempt have been read: nothing older is still to come.

A source is one emitter. Within a source records are in order already; this is about several of them.
"""

from __future__ import annotations

import heapq
from typing import Any, Final

from stream.events import Resource

APPEAR_NS: Final = 60_000_000_000
"""Ranks that were not heard by then, counted from the attempt's first event, are not waited for."""
NEVER: Final = -(1 << 62)
ENDLESS: Final = 1 << 62


class Watermark:
    """Two levels of one attempt, in ns of event time; everything at or before a level has been read.

    ``strict``: all live sources were heard beyond it (all ``world_size`` of them where that is known);
    ``bounded``: it lies ``lateness_ns`` behind the newest event, or behind where the ticks' clock says that
    the newest event would be by now. Each includes what the sources' ends allow; ``strict`` is never below
    ``bounded``.
    """

    def __init__(self, lateness_ns: int) -> None:
        self.lateness_ns = lateness_ns
        self.newest = NEVER
        self._read_at: int | None = None
        self._first: int | None = None
        self._now: int | None = None
        self._heard: dict[str, int] = {}
        self._last: dict[str, int] = {}
        self._ended: dict[str, None] = {}
        self._ranks: dict[tuple[str | None, int], None] = {}
        self._world = 0
        self._lowest: list[tuple[int, str]] = []

    def hear(self, source: str, resource: Resource, time_ns: int, in_order: bool, now: int | None) -> int:
        """An event of a source, read at this clock; its place in the order of time.

        ``in_order``: the source's events of this kind come in order, so this one says that everything
        before it has come, and its place is never before theirs.
        """
        if source in self._ended:
            self._revive(source)
        place = (
            self._advance(source, resource, time_ns) if in_order else self._meet(source, resource, time_ns)
        )
        if self._first is None:
            self._first = place
        if place > self.newest:
            self.newest, self._read_at = place, now
        if place > self._last[source]:
            self._last[source] = place
        if now is not None:
            self._now = now
        return place

    def end(self, source: str) -> None:
        """This source said that it ends: nothing waits for it any more."""
        self._ended[source] = None

    def tick(self, now: int) -> None:
        """The clock moved."""
        self._now = now

    def heard(self, source: str) -> int:
        """Up to where this source was heard in order, NEVER if it was not."""
        return self._heard.get(source, NEVER)

    def last(self, source: str) -> int:
        """The latest place of this source."""
        return self._last.get(source, NEVER)

    @property
    def alone(self) -> bool:
        """Whether there is one source only, and nobody else is expected."""
        return len(self._heard) <= 1 and self._all_here()

    @property
    def several(self) -> bool:
        """Whether more than one source was heard."""
        return len(self._heard) > 1

    def knows(self, source: str) -> bool:
        """Whether this source was heard, and has not ended."""
        return source in self._heard and source not in self._ended

    @property
    def expected(self) -> int:
        """How many ranks there are, 0 where nobody knows."""
        return self._world

    def levels(self) -> tuple[int, int]:
        """``strict`` and ``bounded``, see above."""
        here = self._all_here()
        if here and len(self._ended) == len(self._heard) > 0:
            return ENDLESS, ENDLESS
        if self._first is None:
            return NEVER, NEVER
        newest, now = self.newest, self._now
        if now is not None and now > newest:
            # A trainer's clock may be behind that of the ticks: only what passed since counts.
            read_at = self._read_at
            newest = now if read_at is None or read_at <= newest else newest + now - read_at
        bounded = newest - self.lateness_ns
        return max(self._low() - 1, bounded) if here else bounded, bounded

    def _revive(self, source: str) -> None:
        """A source without an id of its own starts again."""
        del self._ended[source]
        heapq.heappush(self._lowest, (self._heard[source], source))

    def _meet(self, source: str, resource: Resource, time_ns: int) -> int:
        """Know of a source."""
        if source not in self._heard:
            self._heard[source] = self._last[source] = NEVER
            self._world = max(self._world, resource.world_size or 0)
            if resource.rank is not None:
                self._ranks[resource.role, resource.rank] = None
            heapq.heappush(self._lowest, (NEVER, source))
        return time_ns

    def _advance(self, source: str, resource: Resource, time_ns: int) -> int:
        known = self._heard.get(source)
        if known is None:
            self._meet(source, resource, time_ns)
        elif known > time_ns:
            return known
        self._heard[source] = time_ns
        return time_ns

    def _all_here(self) -> bool:
        """Whether no source is expected that was not heard yet."""
        if len(self._ranks) >= self._world:
            return True
        return self._first is not None and self.newest - self._first > APPEAR_NS

    def _low(self) -> int:
        """The least of what live sources were heard to."""
        lowest, heard = self._lowest, self._heard
        while lowest:
            at, source = lowest[0]
            if source in self._ended:
                heapq.heappop(lowest)
            elif heard[source] > at:
                heapq.heapreplace(lowest, (heard[source], source))
            else:
                return at
        return ENDLESS

    def save(self) -> list[Any]:
        """The state as plain data."""
        return [
            self.newest, self._read_at, self._first, self._now, self._heard, self._last, list(self._ended),
            [list(rank) for rank in self._ranks], self._world,
        ]  # fmt: skip

    @classmethod
    def load(cls, lateness_ns: int, state: list[Any]) -> Watermark:
        """A watermark that goes on where ``save`` was called."""
        made = cls(lateness_ns)
        made.newest, made._read_at, made._first, made._now, heard, last, ended, ranks, made._world = state
        made._heard, made._last = dict(heard), dict(last)
        made._ended = dict.fromkeys(ended)
        made._ranks = dict.fromkeys((role, rank) for role, rank in ranks)
        made._lowest = sorted((at, source) for source, at in made._heard.items())
        return made
