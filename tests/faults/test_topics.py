"""Topics that are not as they should be, under workers that start and workers that run."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.records_to_delete import RecordsToDelete

from emitter.vocabulary import topics as vocabulary
from stream import lag, topics
from stream.faustkit.absent import grown_topics
from tests.fixtures import own_broker, wait_for
from tests.stream.loop_rig import Rank, Worker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

SENT, DELETED = 60, 40


def test_a_worker_does_not_begin_on_topics_that_do_not_agree(bare: str, tmp_path: Path) -> None:
    """It ends with the counts and the cure before it has read or written a record."""
    asyncio.run(_make(bare, {vocabulary.OTLP_SPANS: 3, vocabulary.REMEDIATION_INTENTS: 2}))
    worker = Worker(bare, tmp_path)
    try:
        assert worker.child.process.wait(120) == 3
        said = worker.child.log()
        assert "remediation.intents has 2 partitions, expected 1" in said
        assert "co-partitioned topics must have the same number of partitions, found: " in said
        assert "otlp_spans 3" in said
        assert "run `trainwarden topics apply`" in said
        assert "Traceback" not in said
        ends = asyncio.run(lag.end_offsets(bare, [topic.name for topic in vocabulary.TOPICS]))
        assert not any(ends.values())
    finally:
        worker.child.kill()


async def _make(kafka: str, counts: dict[str, int]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics(
        [NewTopic(plan.name, counts.get(plan.name, plan.partitions), 1) for plan in topics.plan(2)]
    )
    await admin.close()


def test_a_topic_that_grows_is_named_with_the_cure() -> None:
    """A partition beyond those that were there at the start: runs would lie on two partitions."""
    fine = [(vocabulary.OTLP_LOGS, 1), (vocabulary.REMEDIATION_INTENTS, 0)]
    assert grown_topics(fine, 2) is None
    error = grown_topics([*fine, (vocabulary.OTLP_LOGS, 2), (vocabulary.TRAIN_EVENTS, 3)], 2)
    assert "otlp_logs has 3, expected 2, train.events has 4, expected 2" in str(error)
    assert "trainwarden topics apply" in str(error)


@pytest.mark.kafka
def test_a_worker_says_what_retention_took_and_goes_on(tmp_path: Path) -> None:
    """Records deleted while it was stopped: how many, from which offset it goes on; the rest is read once."""
    place = TopicPartition(vocabulary.OTLP_LOGS, 0)
    with own_broker(tmp_path) as kafka:
        asyncio.run(topics.apply(kafka)).check()
        worker = Worker(kafka, tmp_path, name="before")
        worker.wait_ready()
        asyncio.run(_steps(kafka, 0, SENT))
        assert asyncio.run(lag.wait_until_read(kafka, lag.LOOP_GROUP, {place: SENT}, 60)) == 0
        assert worker.child.stop() == 0
        at = asyncio.run(lag.committed(kafka, lag.LOOP_GROUP, [place]))[place]
        end = asyncio.run(_steps(kafka, SENT, 2 * SENT))
        asyncio.run(_delete(kafka, place, end - SENT + DELETED))
        worker = Worker(kafka, tmp_path, name="after")
        try:
            worker.wait_ready()
            first = end - SENT + DELETED
            expected = (
                f"otlp_logs[0]: {first - at} records were deleted before they were read "
                f"(offsets {at} to {first - 1})"
            )
            wait_for(lambda: expected in worker.child.log(), 60, "a word about what is lost")
            assert asyncio.run(lag.wait_until_read(kafka, lag.LOOP_GROUP, {place: end}, 60)) == 0
            assert worker.child.log().count("were deleted before they were read") == 1
            assert worker.child.stop() == 0
        finally:
            worker.child.kill()


async def _steps(kafka: str, first: int, last: int) -> int:
    rank = Rank("kept")
    rank.seq = first
    producer = AIOKafkaProducer(bootstrap_servers=kafka, enable_idempotence=False)
    await producer.start()
    for step in range(first, last):
        sent = await producer.send_and_wait(vocabulary.OTLP_LOGS, rank.step(step, 1.0), partition=0)
    await producer.stop()
    return int(sent.offset) + 1


async def _delete(kafka: str, place: TopicPartition, before: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.delete_records({place: RecordsToDelete(before_offset=before)})
    await admin.close()
