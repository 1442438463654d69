"""Reading the log of remediation back, up to where this worker goes on."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from emitter.vocabulary import topics
from stream.kafka import reach
from stream.records import Incoming

AGAIN_S: Final = 1.0
_PLACE: Final = TopicPartition(topics.REMEDIATION_INTENTS, 0)

log = logging.getLogger(__name__)


async def read_before(kafka: str, offset: int, lookback_s: float) -> list[Incoming]:
    """The records of the log before this offset, not older than the lookback; tried until it succeeds."""
    while True:
        try:
            return await _read(kafka, offset, lookback_s)
        except (KafkaError, OSError) as error:
            log.warning(
                "kafka %s: %s cannot be read back: %s: %s; trying again in %.0f s", kafka, _PLACE.topic,
                type(error).__name__, error, AGAIN_S,
            )  # fmt: skip
            await asyncio.sleep(AGAIN_S)


async def _read(kafka: str, offset: int, lookback_s: float) -> list[Incoming]:
    if offset <= 0:
        return []
    consumer = AIOKafkaConsumer(
        **reach(kafka), enable_auto_commit=False, fetch_max_wait_ms=50, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        consumer.assign([_PLACE])
        consumer.seek(_PLACE, await _first(consumer, lookback_s))
        found: list[Incoming] = []
        while await consumer.position(_PLACE) < offset:
            batches = await consumer.getmany(_PLACE, timeout_ms=200)
            found += [_incoming(record) for batch in batches.values() for record in batch]
        return [record for record in found if record.offset < offset]
    finally:
        await consumer.stop()


async def _first(consumer: Any, lookback_s: float) -> int:
    beginning = int((await consumer.beginning_offsets([_PLACE]))[_PLACE])
    since_ms = int((time.time() - lookback_s) * 1000)
    found = (await consumer.offsets_for_times({_PLACE: since_ms})).get(_PLACE)
    # Not every broker answers by time; from the beginning is always right, only slower.
    return max(beginning, found.offset) if found is not None and found.offset >= 0 else beginning


def _incoming(record: Any) -> Incoming:
    return Incoming(
        record.topic, record.partition, record.offset, record.value or b"", timestamp_ms=record.timestamp or 0
    )
