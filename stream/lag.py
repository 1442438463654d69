"""How many records a consumer group still has before it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from emitter.vocabulary import topics
from stream.kafka import reach

LOOP_GROUP: Final = "trainwarden-loop"
HISTORY_GROUP: Final = "trainwarden-history"
HISTORY_TOPICS: Final = (
    *topics.OTLP_TOPICS, topics.TRAIN_DIAGNOSES, topics.REMEDIATION_COMMANDS, topics.REMEDIATION_ACKS,
)  # fmt: skip

_POLL_S: Final = 0.1
_FETCH_WAIT_MS: Final = 500
_FETCH_S: Final = 5.0

Offsets = dict[TopicPartition, int]


async def end_offsets(kafka: str, names: Sequence[str]) -> Offsets:
    """Where the next record of each partition of these topics will go.

    The embedded broker answers with the record behind the first one of the last batch; a fetch knows better.
    """
    consumer = AIOKafkaConsumer(*names, **reach(kafka))
    await consumer.start()
    try:
        found: Offsets = await consumer.end_offsets(sorted(consumer.assignment()))
        return {place: end for place, end in found.items() if not end} | await _fetched(consumer, found)
    finally:
        await consumer.stop()


async def _fetched(consumer: AIOKafkaConsumer, ends: Offsets) -> Offsets:
    """As fetches from before these ends say, of the partitions that are not empty."""
    written = {place: end for place, end in ends.items() if end}
    consumer.pause(*(ends.keys() - written.keys()))
    for place, end in written.items():
        consumer.seek(place, end - 1)
    deadline = time.monotonic() + _FETCH_S
    while any(consumer.highwater(place) is None for place in written) and time.monotonic() < deadline:
        await consumer.getmany(timeout_ms=_FETCH_WAIT_MS)
    return {place: max(end, consumer.highwater(place) or 0) for place, end in written.items()}


async def committed(kafka: str, group: str, partitions: Sequence[TopicPartition]) -> Offsets:
    """What the group has committed; -1 where nothing."""
    admin = AIOKafkaAdminClient(**reach(kafka))
    await admin.start()
    try:
        # Partitions by name: Tansu does not answer "all of them" in a form that aiokafka reads.
        offsets = await admin.list_consumer_group_offsets(group, partitions=list(partitions))
        return {partition: found.offset for partition, found in offsets.items()}
    finally:
        await admin.close()


async def wait_until_read(kafka: str, group: str, ends: Offsets, timeout: float) -> int:
    """Wait until the group has committed up to these offsets; how many records are left before it."""
    deadline = time.monotonic() + timeout
    while True:
        at = await committed(kafka, group, list(ends))
        left = sum(max(0, end - max(0, at.get(partition, 0))) for partition, end in ends.items())
        if not left or time.monotonic() > deadline:
            return left
        await asyncio.sleep(_POLL_S)
