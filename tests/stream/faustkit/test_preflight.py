"""What a worker checks before it joins."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from emitter.vocabulary import topics as vocabulary
from stream import topics
from stream.faustkit import preflight
from stream.faustkit.preflight import PreflightError, check_topics, inspect
from tests.fixtures import free_port

GOOD = {topic.name: topic.partitions or 3 for topic in vocabulary.TOPICS}


def test_right_topics_say_how_many_partitions() -> None:
    """The co-partitioned ones agree."""
    assert check_topics(GOOD) == 3


def test_missing_topics_are_all_named() -> None:
    """With the cure."""
    found = {name: count for name, count in GOOD.items() if name not in ("otlp_logs", "train.events")}
    expected = "missing on the broker: otlp_logs, train.events; run `trainwarden topics apply` and start"
    with pytest.raises(PreflightError, match=expected):
        check_topics(found)


def test_co_partitioned_topics_must_agree() -> None:
    """Else one run's records would meet on different workers."""
    with pytest.raises(
        PreflightError, match=r"same number of partitions, found: otlp_logs 3, .* train.events 4"
    ):
        check_topics({**GOOD, "train.events": 4})


def test_a_single_partition_topic_with_more_is_wrong() -> None:
    """One arbiter reads the intents."""
    expected = "remediation.intents has 3 partitions, expected 1; delete the wrong topics"
    with pytest.raises(PreflightError, match=expected):
        check_topics({**GOOD, "remediation.intents": 3})


def test_no_broker_is_one_clear_error() -> None:
    """Within the time given."""
    port = free_port()
    with pytest.raises(PreflightError, match=f"kafka 127.0.0.1:{port}: expected an answer"):
        asyncio.run(inspect(f"127.0.0.1:{port}", timeout_s=0.5))


@pytest.mark.slow
def test_the_embedded_broker_is_recognised_and_its_topics_checked(bare: str) -> None:
    """Refused while topics are missing or disagree; nothing is created by asking."""
    with pytest.raises(PreflightError, match="topics missing on the broker: otlp_logs"):
        asyncio.run(inspect(bare))

    async def create_one() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=bare)
        await admin.start()
        await admin.create_topics([NewTopic("otlp_logs", 5, 1)])
        await admin.close()

    asyncio.run(create_one())
    with pytest.raises(PreflightError, match="missing on the broker: otlp_spans"):
        asyncio.run(inspect(bare))
    asyncio.run(topics.apply(bare, 5)).check()
    site = asyncio.run(inspect(bare))
    assert (site.traits, site.partitions) == (preflight.TANSU, 5)
