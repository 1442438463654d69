"""Keeps snapshots of the partitions a worker holds, at a pace that costs it little."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from stream.diagnose.inbox import Inbox
from stream.diagnose.partition import Partition
from stream.diagnose.taking import Taking
from stream.snapshots import form
from stream.snapshots.shelf import Shelf

EVERY_S: Final = 5.0
"""Between two of a partition, at least."""
FIRST_S: Final = 0.2
"""Until a partition's first one: a worker that dies again and again must not begin where it did before."""
IDLE_S: Final = 60.0
"""The same while only the clock goes on."""
RARELY: Final = 200
"""Times the longest pause: records wait while a run is taken, and a large run takes long."""
SHARE: Final = 0.05
"""Of a core, while a snapshot is being taken."""
FIRST_SHARE: Final = 0.5
"""The same for the first one of a partition."""

log = logging.getLogger(__name__)


class Keeper:
    """``flushed`` returns once all that was made of the records so far is on the broker."""

    def __init__(
        self, inbox: Inbox, shelf: Shelf, flushed: Callable[[], Awaitable[None]], every_s: float = EVERY_S
    ) -> None:
        self._inbox, self._shelf, self._flushed, self._every_s = inbox, shelf, flushed, every_s
        self._seen: dict[int, tuple[Partition, int, float]] = {}
        self._longest: dict[int, float] = {}
        self._failing = False

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(min(self._every_s, FIRST_S))
            for number, partition in self._inbox.held.items():
                if self._due(number, partition):
                    batches = partition.batches
                    await self._guarded(number, partition)
                    self._seen[number] = (partition, batches, time.monotonic())

    def _due(self, number: int, partition: Partition) -> bool:
        if partition.newest is None:
            return False
        known, batches, at = self._seen.get(number, (None, 0, 0.0))
        if known is not partition:
            return True
        wait_s = IDLE_S if batches == partition.batches else RARELY * self._longest.get(number, 0.0)
        return time.monotonic() - at >= max(wait_s, self._every_s)

    async def _guarded(self, number: int, partition: Partition) -> None:
        """A snapshot that cannot be taken or kept is said once, and costs a longer replay, not the worker."""
        try:
            await self.take(number, partition)
        except Exception as error:  # noqa: BLE001 - also a bug of ours
            if not self._failing:
                log.error(
                    "train.events[%d]: its snapshot cannot be kept: %s: %s; a takeover will replay longer",
                    number, type(error).__name__, error,
                )  # fmt: skip
            self._failing = True
        else:
            self._failing = False

    async def take(self, number: int, partition: Partition) -> bool:
        """One snapshot; False where the partition went away meanwhile."""
        taking, longest = Taking(partition), 0.0
        share = SHARE if self._seen.get(number, (None,))[0] is partition else FIRST_SHARE
        began = time.perf_counter()
        while (chunks := taking.next()) is not None:
            longest = max(longest, time.perf_counter() - began)
            for chunk in chunks:
                await self._put(number, taking, chunk)
            await asyncio.sleep((time.perf_counter() - began) / share)
            if self._inbox.held.get(number) is not partition:
                return False
            began = time.perf_counter()
        self._longest[number] = longest
        for chunk in taking.packer.rest():
            await self._put(number, taking, chunk)
        head = taking.head()
        await self._flushed()
        if self._inbox.held.get(number) is not partition:
            return False
        await self._shelf.finish(number, head)
        return True

    async def _put(self, number: int, taking: Taking, chunk: bytes) -> None:
        packed = await asyncio.to_thread(form.pack, chunk)
        await self._shelf.put(number, taking.id, taking.packer.count(packed), packed)
