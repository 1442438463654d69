"""Reads the topics of the story from their present end on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from itertools import chain

from aiokafka import AIOKafkaConsumer, ConsumerRecord

from stream.demo.story import TOPICS, Happening, Story
from stream.kafka import reach
from stream.lag import Offsets

_POLL_MS = 20
_NS_PER_MS = 1_000_000


class Follower:
    """Feeds a story; ``told`` is called with each happening."""

    def __init__(self, kafka: str, story: Story, told: Callable[[Happening], None]) -> None:
        self._story, self._told = story, told
        # Without a group: all partitions, nothing committed.
        self._consumer = AIOKafkaConsumer(*TOPICS, **reach(kafka), fetch_max_wait_ms=_POLL_MS)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin at the end of all partitions, so that everything sent from now on is seen."""
        await self._consumer.start()
        await self._consumer.seek_to_end()
        for partition in self._consumer.assignment():
            await self._consumer.position(partition)
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Leave the broker."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._consumer.stop()

    async def catch_up(self, ends: Offsets, timeout: float) -> None:
        """Wait until these offsets have been read, or the time is over."""
        deadline = time.monotonic() + timeout
        for partition, end in ends.items():
            while partition.topic in TOPICS and await self._consumer.position(partition) < end:
                self.check()
                if time.monotonic() > deadline:
                    return
                await asyncio.sleep(_POLL_MS / 1000)

    def check(self) -> None:
        """Raise what the reading task died of, if it did."""
        if self._task is not None and self._task.done():
            self._task.result()

    async def _follow(self) -> None:
        while True:
            found = await self._consumer.getmany(timeout_ms=1000)
            # What comes together from several topics is told in the order in which it happened.
            for record in sorted(chain(*found.values()), key=lambda record: record.timestamp):
                self._take(record)

    def _take(self, record: ConsumerRecord) -> None:
        if record.value is not None:
            for happening in self._story.observe(record.topic, record.value, record.timestamp * _NS_PER_MS):
                self._told(happening)
