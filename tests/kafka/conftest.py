"""One Apache Kafka broker for all tests of this folder."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from stream import topics
from tests.fixtures import free_port
from tests.kafka.apache_kafka import ApacheKafka, kafka_version


@pytest.fixture(scope="session")
def kafka_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of a real Apache Kafka with our topics."""
    broker = ApacheKafka(tmp_path_factory.mktemp("kafka"), free_port(), free_port())
    broker.format()
    try:
        broker.start()
        asyncio.run(topics.apply(broker.bootstrap)).check()
        print(f"Apache Kafka {kafka_version()} at {broker.bootstrap}")
        yield broker.bootstrap
    finally:
        broker.stop()
