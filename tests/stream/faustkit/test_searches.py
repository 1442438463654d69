"""Fetches from a partition in which the embedded broker searches longer than the fetch may wait."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from stream.faustkit.app import plain_argv
from stream.faustkit.pace import Pace
from tests.fixtures import wait_for_async

PLACE = TopicPartition("many", 0)
BATCHES = 4000
"""At a fetch wait of 1 ms; some 40,000 are enough at the 20 ms of a worker."""


def test_a_consumer_reads_on_however_long_the_broker_searches(bare: str) -> None:
    """It reads to the end of the partition, with waits no longer than that takes."""
    waits = asyncio.run(_read_all(bare))
    print(f"{BATCHES} batches, scale 1/10; fetches waited up to {max(waits)} ms")
    assert max(waits) > 1


async def _read_all(kafka: str) -> set[int]:
    with plain_argv():
        from stream.faustkit.transport import hurry
    await _fill(kafka)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka, group_id=None, auto_offset_reset="earliest", fetch_max_wait_ms=1
    )
    await consumer.start()
    waits: set[int] = set()
    try:
        hurry(consumer, Pace(1, time.monotonic))
        consumer.assign([PLACE])

        async def at_the_end() -> bool:
            await consumer.getmany(timeout_ms=100)
            waits.add(consumer._fetcher._fetch_max_wait_ms)
            return bool(await consumer.position(PLACE) >= BATCHES)

        await wait_for_async(at_the_end, 90, "the end of the partition")
    finally:
        await consumer.stop()
    return waits


async def _fill(kafka: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(PLACE.topic, 1, 1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=kafka, enable_idempotence=False)
    await producer.start()
    try:
        for _ in range(BATCHES // 50):
            await asyncio.gather(*(_batch(producer) for _ in range(50)))
    finally:
        await producer.stop()


async def _batch(producer: Any) -> None:
    batch = producer.create_batch()
    batch.append(timestamp=None, key=None, value=b"x")
    batch.close()
    await (await producer.send_batch(batch, PLACE.topic, partition=PLACE.partition))
