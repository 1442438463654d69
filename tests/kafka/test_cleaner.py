"""Compacted topics below a log cleaner that is at work all the time: what counts is there, and found."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from emitter.vocabulary import topics
from stream import placements
from stream import topics as administration
from stream.faustkit.outlet import Outlet
from stream.ledger.topics import whole
from stream.placements import Placed
from stream.rulebook import inforce
from stream.rulebook.bundle import Bundle
from stream.snapshots import form
from stream.snapshots.form import Head
from stream.snapshots.shelf import Stored
from stream.snapshots.topic import Send, TopicShelf
from tests.fixtures import free_port, wait_for_async
from tests.kafka.apache_kafka import ApacheKafka

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(420)]

_EAGER = """\
log.cleaner.backoff.ms=100
log.cleaner.min.cleanable.ratio=0.001
"""
_SEGMENT = 1024 * 1024
"""Bytes; Kafka allows no smaller ones. The newest segment is never compacted."""
_CHUNK = 600_000
_CLEANED_S = 90.0
PARTITION = 1


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker with our topics, whose segments are as small and whose cleaner is as eager as can be."""
    broker = ApacheKafka(tmp_path_factory.mktemp("cleaner"), free_port(), free_port(), _EAGER)
    broker.format()
    try:
        broker.start()
        asyncio.run(_with_small_segments(broker.bootstrap))
        yield broker.bootstrap
    finally:
        broker.stop()


async def _with_small_segments(kafka: str) -> None:
    (await administration.apply(kafka, 2)).check()
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.alter_configs([
            ConfigResource(
                ConfigResourceType.TOPIC, one.name, {**one.settings(), "segment.bytes": str(_SEGMENT)}
            )
            for one in administration.plan(2) if one.compacted
        ])  # fmt: skip
    finally:
        await admin.close()


@asynccontextmanager
async def outlet(kafka: str) -> AsyncIterator[Outlet]:
    """The producer that workers have."""
    one = Outlet(kafka, 2)
    await one.start()
    try:
        yield one
    finally:
        await one.stop()


async def taken(shelf: TopicShelf, number: int) -> Stored:
    """A snapshot of three to five chunks that no compression makes smaller."""
    id = f"snapshot-{number}"
    chunks = [os.urandom(_CHUNK) for _ in range(3 + number % 3)]
    for place, chunk in enumerate(chunks):
        await shelf.put(PARTITION, id, place, chunk)
    head = Head(form.VERSION, id, number, number, b"w" * 16, 0, b"engine", len(chunks), b"d" * 16)
    await shelf.finish(PARTITION, head)
    return Stored(head, chunks)


async def newest(kafka: str, send: Send) -> Stored | None:
    """What a worker finds that takes over."""
    async for stored in TopicShelf(kafka, send).newest(PARTITION):
        return stored
    return None


async def cleaned(kafka: str, topic: str, most: int) -> None:
    """Until this topic holds that many records at most, though more were written."""

    async def few() -> bool:
        return len([one async for one in whole(kafka, topic)]) <= most

    await wait_for_async(few, _CLEANED_S, f"{topic} to be compacted to {most} records")


def test_the_last_whole_snapshot_survives_and_is_found(kafka: str) -> None:
    """Twelve were taken, and half of one; another worker goes on, and replaces the right ones."""

    async def scenario() -> None:
        async with outlet(kafka) as sent:
            shelf = TopicShelf(kafka, sent.send)
            for number in range(12):
                last = await taken(shelf, number)
            for place in range(2):
                await shelf.put(PARTITION, "half", place, os.urandom(_CHUNK))
            # Two slots of five chunks and a head, and one segment that is not touched.
            await cleaned(kafka, topics.TRAIN_SNAPSHOTS, 2 * 6 + 2)
            assert await newest(kafka, sent.send) == last

            after = TopicShelf(kafka, sent.send)
            async for stored in after.newest(PARTITION):
                assert stored == last
                break
            for number in range(20, 25):
                await after.put(PARTITION, f"half-{number}", 0, os.urandom(_CHUNK))
                await cleaned(kafka, topics.TRAIN_SNAPSHOTS, 2 * 6 + 2)
                assert await newest(kafka, sent.send) == last
                last = await taken(after, number)
                assert await newest(kafka, sent.send) == last

    asyncio.run(scenario())


def test_rules_and_placements_survive(kafka: str) -> None:
    """Thirty changes of one of two packs, as many moves of three runs: the last of each is what is read."""

    async def scenario() -> None:
        async with outlet(kafka) as sent:
            before: Bundle | None = None
            for number in range(30):
                texts = {"calm/a.yaml": "calm", "busy/b.yaml": os.urandom(300_000).hex() + str(number)}
                bundle = Bundle(texts, {"rule.param": float(number)})
                for records in inforce.records(bundle, before, 2):
                    await sent.send(records)
                before = bundle
            assert before is not None
            await cleaned(kafka, topics.TRAIN_RULES, 6)
            for _ in range(10):
                assert await inforce.read(kafka) == before

            long = [f"run-{number}-{'x' * 20_000}" for number in range(20)]
            many = {name: Placed(name, 0, (0,)) for name in long}
            for number in range(30):
                await sent.send([placements.encode("moving", {"r": Placed("r", number, (0, 1))})])
                await sent.send([placements.encode("large", {**many, "r": Placed("r", number, (2,))})])
                await sent.send([placements.encode("empty", many if number < 29 else {})])
            await cleaned(kafka, topics.TRAIN_PLACEMENTS, 60)
            found = [placements.decode(*one) async for one in whole(kafka, topics.TRAIN_PLACEMENTS)]
            assert dict(found) == {
                "moving": {"r": Placed("r", 29, (0, 1))},
                "large": {**many, "r": Placed("r", 29, (2,))},
                "empty": {},
            }

    asyncio.run(scenario())
