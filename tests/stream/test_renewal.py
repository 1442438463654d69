"""From a full embedded broker to an empty one: what is needed goes over, where it was."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from emitter.vocabulary import topics as vocabulary
from stream import lag, renewal, topics
from tests.fixtures import start_broker

LOGS = TopicPartition(vocabulary.OTLP_LOGS, 1)
EVENTS = TopicPartition(vocabulary.TRAIN_EVENTS, 0)
RULES = TopicPartition(vocabulary.TRAIN_RULES, 0)
COMMANDS = TopicPartition(vocabulary.REMEDIATION_COMMANDS, 1)


def test_what_is_needed_goes_over_with_its_offsets(tmp_path: Path) -> None:
    """Unread data, what a snapshot needs, the newest of each key, young words and commits; offsets go on."""
    asyncio.run(_go_over(tmp_path))


async def _go_over(folder: Path) -> None:
    old, old_kafka = await asyncio.to_thread(start_broker, folder / "old.log")
    new, new_kafka = await asyncio.to_thread(start_broker, folder / "new.log")
    try:
        (await topics.apply(old_kafka, 2)).check()
        await _fill(old_kafka)
        contents = await renewal.take(old_kafka, {EVENTS: 20})
        await renewal.give(new_kafka, contents)
        before, after = [await _read(kafka) for kafka in (old_kafka, new_kafka)]
        assert after[LOGS] == before[LOGS][60:]
        assert after[EVENTS] == before[EVENTS][20:]
        assert [record[0] for record in after[RULES]] == [7, 8, 9]
        assert after[RULES] == before[RULES][7:]
        assert [record[0] for record in after[COMMANDS]] == [1, 2]
        assert await lag.committed(new_kafka, lag.LOOP_GROUP, [LOGS]) == {LOGS: 80}
        assert await lag.committed(new_kafka, lag.HISTORY_GROUP, [LOGS]) == {LOGS: 60}
        assert await _next_offset(new_kafka, LOGS) == 100
        again = await renewal.take(new_kafka, {})
        assert [one.offset for one in again.records[EVENTS]] == [49]
    finally:
        old.kill()
        new.kill()


async def _fill(kafka: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, enable_idempotence=False)
    await producer.start()
    now = int(time.time() * 1000)

    async def send(place: TopicPartition, number: int, key: str, age_ms: int = 0) -> None:
        await producer.send_and_wait(
            place.topic, b"%d" % number, key=key.encode(), partition=place.partition,
            headers=[("number", b"%d" % number)], timestamp_ms=now - age_ms,
        )  # fmt: skip

    for number in range(100):
        await send(LOGS, number, "emitter")
    for number in range(50):
        await send(EVENTS, number, "run")
    for number in range(10):
        await send(RULES, number, "abc"[number % 3])
    for number, days in enumerate((8, 3, 0)):
        await send(COMMANDS, number, "run", days * 86_400_000)
    await producer.stop()
    await renewal._commit(kafka, lag.LOOP_GROUP, {LOGS: 80, EVENTS: 50})
    await renewal._commit(kafka, lag.HISTORY_GROUP, {LOGS: 60})


async def _read(kafka: str) -> dict[TopicPartition, list[tuple[Any, ...]]]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka, group_id=None, auto_offset_reset="earliest", fetch_max_wait_ms=500
    )
    await consumer.start()
    places = [LOGS, EVENTS, RULES, COMMANDS]
    found: dict[TopicPartition, list[tuple[Any, ...]]] = {}
    for place in places:
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        end = (await consumer.end_offsets([place]))[place]
        found[place] = []
        while await consumer.position(place) < end:
            for one in (await consumer.getmany(timeout_ms=200)).get(place, []):
                found[place].append((one.offset, one.timestamp, one.key, one.value, one.headers))
    await consumer.stop()
    return found


async def _next_offset(kafka: str, place: TopicPartition) -> int:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, enable_idempotence=False)
    await producer.start()
    sent = await producer.send_and_wait(place.topic, b"next", partition=place.partition)
    await producer.stop()
    return int(sent.offset)
