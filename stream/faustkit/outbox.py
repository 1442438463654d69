"""At least once: a record read is acknowledged when all that it led to is on the broker.

While one flush is under way the next records gather, so the number of round trips follows the broker's
pace and not the number of records.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from stream.faustkit.outlet import Outlet
from stream.records import Outgoing

CAPACITY: Final = 256
"""Kafka records whose results may wait for a flush."""


class _Mark:
    """Stands between results; acknowledged like an event."""

    def __init__(self) -> None:
        self.passed = asyncio.Event()
        self.ack = self.passed.set


class Outbox:
    """Results of one agent on their way to the broker, in the order of what was read."""

    def __init__(
        self, outlet: Outlet, fail: Callable[[BaseException], None], capacity: int = CAPACITY
    ) -> None:
        self._outlet = outlet
        self._fail = fail
        self._room = asyncio.Semaphore(capacity)
        self._waiting: asyncio.Queue[tuple[Any, Sequence[Outgoing]]] = asyncio.Queue()
        self._flusher: asyncio.Task[None] | None = None
        self._under_way = 0

    async def room(self) -> None:
        """Wait while too much is under way. Before the record is handled, so that ``put`` never waits."""
        await self._room.acquire()

    def put(self, event: Any, records: Sequence[Outgoing]) -> None:
        """Hand over a Faust event and its results. Once for each ``room``.

        Most records lead to nothing: where nothing is under way either, they need no flush.
        """
        if not records and not self._under_way:
            event.ack()
            self._room.release()
            return
        if self._flusher is None:
            self._flusher = asyncio.get_running_loop().create_task(self._flush_forever())
            self._flusher.add_done_callback(self._ended)
        self._under_way += 1
        self._waiting.put_nowait((event, records))

    @property
    def depth(self) -> int:
        """Records whose results are not on the broker yet."""
        return self._under_way

    async def flushed(self) -> None:
        """Return once everything that was put before is on the broker."""
        await self.room()
        mark = _Mark()
        self.put(mark, [])
        await mark.passed.wait()

    async def close(self) -> None:
        """Stop flushing; what was not flushed stays unacknowledged and is read again."""
        if self._flusher is not None:
            self._flusher.cancel()
            await asyncio.gather(self._flusher, return_exceptions=True)

    def _ended(self, flusher: asyncio.Task[None]) -> None:
        if not flusher.cancelled() and (error := flusher.exception()) is not None:
            self._fail(error)

    async def _flush_forever(self) -> None:
        while True:
            taken = [await self._waiting.get()]
            while not self._waiting.empty():
                taken.append(self._waiting.get_nowait())
            await self._outlet.send([record for _, records in taken for record in records])
            for event, _ in taken:
                event.ack()
                self._under_way -= 1
                self._room.release()
