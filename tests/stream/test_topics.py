"""Topics: plan and apply."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from emitter.vocabulary import topics as vocabulary
from stream import topics
from tests.fixtures import free_port, start_broker


@pytest.fixture
def empty_broker(tmp_path: Path) -> Iterator[str]:
    child, bootstrap = start_broker(tmp_path / "log")
    yield bootstrap
    child.kill()


async def _create(bootstrap: str, name: str, partitions: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, partitions, 1)])
    finally:
        await admin.close()


async def _settings(bootstrap: str, name: str) -> dict[str, str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        (response,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
        return {entry[0]: entry[1] for entry in response.resources[0][4]}
    finally:
        await admin.close()


def test_plan_has_a_row_for_each_topic_of_the_vocabulary() -> None:
    """Shared topics get the chosen number of partitions, the others keep their own."""
    rows = {row.name: row for row in topics.plan(6)}
    assert list(rows) == [topic.name for topic in vocabulary.TOPICS]
    assert rows[vocabulary.OTLP_LOGS].partitions == rows[vocabulary.TRAIN_EVENTS].partitions == 6
    assert rows[vocabulary.REMEDIATION_CONTROL].partitions == 1
    assert rows[vocabulary.TRAIN_RULES].settings()["cleanup.policy"] == "compact"
    assert rows[vocabulary.OTLP_LOGS].settings()["retention.ms"] == str(24 * 3_600_000)


def test_plan_refuses_no_partitions() -> None:
    """Zero partitions is an error."""
    with pytest.raises(topics.TopicsError, match="partitions: expected 1 or more, got 0"):
        topics.plan(0)


def test_apply_creates_once_and_then_keeps(empty_broker: str) -> None:
    """The first apply creates everything with its settings, the second finds it."""
    first = asyncio.run(topics.apply(empty_broker, 3))
    names = [topic.name for topic in vocabulary.TOPICS]
    assert (first.created, first.kept, first.mismatched) == (names, [], [])
    settings = asyncio.run(_settings(empty_broker, vocabulary.OTLP_LOGS))
    assert settings["retention.ms"] == str(24 * 3_600_000)
    second = asyncio.run(topics.apply(empty_broker, 3))
    assert (second.created, second.kept, second.mismatched) == ([], names, [])


def test_apply_takes_the_partitions_that_exist(empty_broker: str) -> None:
    """Without a number, the shared topics that are there decide."""
    asyncio.run(_create(empty_broker, vocabulary.TRAIN_EVENTS, 4))
    applied = asyncio.run(topics.apply(empty_broker))
    assert applied.partitions == 4
    assert applied.kept == [vocabulary.TRAIN_EVENTS]
    applied.check()


def test_other_partition_counts_are_reported_and_nothing_is_created(empty_broker: str) -> None:
    """A topic with another number of partitions is named with the cure; no topic is created beside it."""
    asyncio.run(_create(empty_broker, vocabulary.OTLP_LOGS, 5))
    asyncio.run(_create(empty_broker, vocabulary.REMEDIATION_CONTROL, 2))
    applied = asyncio.run(topics.apply(empty_broker, 2))
    assert applied.created == []
    with pytest.raises(topics.TopicsError) as caught:
        applied.check()
    shared, single = str(caught.value).splitlines()
    assert shared.startswith("topic otlp_logs: expected 2 partitions, found 5; apply with --partitions 5")
    assert single.startswith("topic remediation.control: expected 1 partitions, found 2; stop the workers")


def test_no_broker_is_one_clear_error() -> None:
    """A closed port names the address."""
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(topics.TopicsError, match=f"kafka {address}: topics cannot be read or created"):
        asyncio.run(topics.apply(address))


def test_the_session_broker_has_all_topics(broker: str) -> None:
    """The shared fixture hands out a broker on which nothing is left to create."""
    assert asyncio.run(topics.apply(broker)).created == []
