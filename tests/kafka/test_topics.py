"""Topics on Apache Kafka."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from emitter.vocabulary import topics as vocabulary
from stream import topics

pytestmark = pytest.mark.kafka


async def _settings(bootstrap: str, topic: str) -> dict[str, str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        responses = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        return {entry[0]: entry[1] for entry in responses[0].resources[0][4]}
    finally:
        await admin.close()


def test_applying_twice_keeps_everything(kafka_bootstrap: str) -> None:
    """The second apply finds every topic as planned and creates none."""
    again = asyncio.run(topics.apply(kafka_bootstrap))

    assert again.created == []
    assert again.mismatched == []
    assert sorted(again.kept) == sorted(topic.name for topic in vocabulary.TOPICS)


@pytest.mark.parametrize("topic", vocabulary.TOPICS, ids=lambda topic: topic.name)
def test_topics_are_kept_as_the_vocabulary_says(kafka_bootstrap: str, topic: vocabulary.Topic) -> None:
    """Retention and compaction on the broker are those of the vocabulary."""
    settings = asyncio.run(_settings(kafka_bootstrap, topic.name))

    assert settings["cleanup.policy"] == ("compact" if topic.compacted else "delete")
    if topic.retention_ms is not None:
        assert settings["retention.ms"] == str(topic.retention_ms)


def test_another_number_of_partitions_is_refused(kafka_bootstrap: str) -> None:
    """Asking for other partition counts names every topic and the cure, and changes nothing."""
    applied = asyncio.run(topics.apply(kafka_bootstrap, partitions=7))

    with pytest.raises(
        topics.TopicsError, match=r"topic otlp_logs: expected 7 partitions, found 2; .*--partitions 2"
    ):
        applied.check()
