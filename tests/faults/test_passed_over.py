"""Several producers on one partition of the embedded broker, and a consumer at its end."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from emitter.vocabulary import topics as vocabulary
from stream import topics
from tests.fixtures import START_TIMEOUT_S

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PLACE = TopicPartition(vocabulary.OTLP_LOGS, 0)
PRODUCERS, EACH, LARGE, BYTES = 4, 400, 3, 20_000_000


def test_a_consumer_at_the_end_passes_over_no_record_that_is_still_being_written(bare: str) -> None:
    """Large records take long to write, and small ones behind them are readable at once: 1,603 of 1,603.

    With a broker of several threads a few of them were never read.
    """
    asyncio.run(topics.apply(bare)).check()
    sent, read = asyncio.run(_both(bare))
    assert len(sent) == PRODUCERS * EACH + LARGE
    assert sent == read


async def _both(kafka: str) -> tuple[set[int], set[int]]:
    sizes = [*([1] * EACH for _ in range(PRODUCERS)), [BYTES] * LARGE]
    reading = asyncio.create_task(_read(kafka, sum(map(len, sizes))))
    sent = await asyncio.gather(*(_send(kafka, part) for part in sizes))
    return set().union(*sent), await reading


async def _send(kafka: str, sizes: list[int]) -> set[int]:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, enable_idempotence=False, max_request_size=2**25)
    await producer.start()
    try:
        return {
            (await producer.send_and_wait(PLACE.topic, b"x" * size, partition=PLACE.partition)).offset
            for size in sizes
        }
    finally:
        await producer.stop()


async def _read(kafka: str, count: int) -> set[int]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka, auto_offset_reset="earliest", fetch_max_wait_ms=100,
        max_partition_fetch_bytes=2**25,
    )  # fmt: skip
    consumer.assign([PLACE])
    await consumer.start()
    try:
        offsets: set[int] = set()
        deadline = time.monotonic() + START_TIMEOUT_S
        while count - 1 not in offsets and time.monotonic() < deadline:
            for records in (await consumer.getmany(timeout_ms=100)).values():
                offsets.update(record.offset for record in records)
        return offsets
    finally:
        await consumer.stop()
