"""Follows ``train.placements`` from its beginning, so that ingest knows which runs are on which node."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from emitter.vocabulary import topics
from stream import placements
from stream.kafka import reach
from stream.placements import Placed

AGAIN_S: Final = 5.0
LOAD_S: Final = 10.0
"""Longer than this nobody waits for what was there before."""
_PLACE: Final = TopicPartition(topics.TRAIN_PLACEMENTS, 0)

log = logging.getLogger(__name__)


class Placements:
    """``hosts`` is what is known at this moment. A worker that cannot read them goes on without."""

    def __init__(self, kafka: str) -> None:
        self._kafka = kafka
        self.hosts: dict[str, dict[str, Placed]] = {}
        self._loaded = asyncio.Event()

    async def loaded(self) -> None:
        """Wait until what was there at the start is known: a node's words of before it would be lost."""
        try:
            await asyncio.wait_for(self._loaded.wait(), LOAD_S)
        except asyncio.TimeoutError:
            if not self._loaded.is_set():
                log.warning("%s: not read within %.0f s, going on without", _PLACE.topic, LOAD_S)
            self._loaded.set()

    async def follow(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self._follow()
            except (KafkaError, OSError) as error:
                log.warning(
                    "kafka %s: %s: %s: %s; nodes without a run id are not heard, trying again in %.0f s",
                    self._kafka, _PLACE.topic, type(error).__name__, error, AGAIN_S,
                )  # fmt: skip
            await asyncio.sleep(AGAIN_S)

    async def _follow(self) -> None:
        consumer = AIOKafkaConsumer(
            **reach(self._kafka), enable_auto_commit=False, auto_offset_reset="earliest",
            fetch_max_wait_ms=200,
        )  # fmt: skip
        await consumer.start()
        try:
            consumer.assign([_PLACE])
            end = (await consumer.end_offsets([_PLACE]))[_PLACE]
            while True:
                if await consumer.position(_PLACE) >= end:
                    self._loaded.set()
                for records in (await consumer.getmany(timeout_ms=1000)).values():
                    for record in records:
                        self._take(record)
        finally:
            await consumer.stop()

    def _take(self, record: Any) -> None:
        try:
            host, placed = placements.decode(record.key, record.value)
        except placements.PlacementError as error:
            log.warning("%s@%d: skipped: %s", record.topic, record.offset, error)
            return
        if placed:
            self.hosts[host] = placed
        else:
            self.hosts.pop(host, None)
