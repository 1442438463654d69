"""How far a consumer group is behind, on a real broker."""

from __future__ import annotations

import asyncio
import secrets

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from emitter.vocabulary import topics
from stream import lag


def test_a_group_is_behind_until_it_commits(own_topics: str) -> None:
    """What is not committed counts as unread, per partition; nothing is left once all is committed."""
    left = asyncio.run(_left_before_and_after(own_topics))
    assert left == [1, 0]


async def _left_before_and_after(kafka: str) -> list[int]:
    partition = TopicPartition(topics.TRAIN_DEADLETTERS, 0)
    producer = AIOKafkaProducer(bootstrap_servers=kafka, enable_idempotence=False)
    await producer.start()
    sent = await producer.send_and_wait(partition.topic, b"letter", partition=0)
    await producer.stop()
    group = f"lag-{secrets.token_hex(4)}"
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=group, enable_auto_commit=False)
    await consumer.start()
    consumer.assign([partition])
    left: list[int] = []
    for offset in (sent.offset, sent.offset + 1):
        await consumer.commit({partition: offset})
        ends = {**await lag.end_offsets(kafka, [partition.topic]), partition: sent.offset + 1}
        left.append(await lag.wait_until_read(kafka, group, ends, timeout=0.0 if not left else 30.0))
    await consumer.stop()
    return left
