"""A record of 50 MB that is in a topic already: above what a consumer fetches at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import MessageSizeTooLargeError

from emitter.vocabulary import topics as vocabulary
from stream import lag, topics
from stream.faustkit.app import MAX_FETCH_BYTES
from tests.fixtures import APACHE, ENV_TEST_KAFKA, own_broker, read_topic
from tests.stream.loop_rig import Rank, Worker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

BYTES = 50_000_000
PLACE = TopicPartition(vocabulary.OTLP_LOGS, 0)


def test_a_record_of_50_mb_is_set_aside_and_the_next_one_read(bare: str, tmp_path: Path) -> None:
    """The embedded broker takes it: the worker makes it a dead letter and does not stand still before it."""
    asyncio.run(topics.apply(bare)).check()
    worker = Worker(bare, tmp_path)
    try:
        worker.wait_ready()
        assert BYTES > MAX_FETCH_BYTES
        asyncio.run(_send(bare, b"\xff" * BYTES))
        end = asyncio.run(_send(bare, Rank("after").step(0, 1.0)))
        assert asyncio.run(lag.wait_until_read(bare, lag.LOOP_GROUP, {PLACE: end}, 150)) == 0
        assert "otlp_logs[0] offset " in worker.child.log()
        read_topic(
            bare,
            vocabulary.TRAIN_EVENTS,
            enough=len,
            wanted=lambda record: record.key == b"after",
            timeout=60,
        )
        assert worker.child.stop() == 0
    finally:
        worker.child.kill()


@pytest.mark.kafka
def test_apache_kafka_does_not_take_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The topics that we make say how large a record may be."""
    monkeypatch.setenv(ENV_TEST_KAFKA, APACHE)
    with own_broker(tmp_path) as kafka:
        asyncio.run(topics.apply(kafka)).check()
        with pytest.raises(MessageSizeTooLargeError):
            asyncio.run(_send(kafka, b"\xff" * BYTES))


async def _send(kafka: str, value: bytes) -> int:
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka, enable_idempotence=False, max_request_size=2**27, request_timeout_ms=120_000
    )
    await producer.start()
    try:
        sent = await producer.send_and_wait(PLACE.topic, value, partition=PLACE.partition)
        return int(sent.offset) + 1
    finally:
        await producer.stop()
