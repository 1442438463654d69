"""The ledger where brokers die too: alone, and one of three. Apache Kafka keeps what it acknowledged."""

from __future__ import annotations

import asyncio
import math
import time
from pathlib import Path

import pytest

from tests.fixtures import free_port
from tests.integration import ledger_parts as parts
from tests.integration.ledger_books import audit
from tests.integration.ledger_events import Load
from tests.kafka import apache_kafka
from tests.kafka.apache_kafka import ApacheKafka

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(1200)]

BACK_S = 300.0


class Broker:
    """A broker as one of the parts that die; it lives for ``life_s`` at least.

    A group waits half a minute for members that are gone: a broker that never lives so long has no readers,
    whatever they do.
    """

    name = "broker"

    def __init__(self, broker: ApacheKafka, life_s: float) -> None:
        self._broker, self._life_s = broker, life_s
        self._born = -math.inf

    def kill(self) -> None:
        self._broker.kill()

    def start(self) -> None:
        self._broker.launch()
        self._born = time.monotonic()

    def ready(self) -> bool:
        return time.monotonic() - self._born > self._life_s and self._broker.answers()

    def ended(self) -> bool:
        return False


def _ledger(folder: Path, flushes: int, every_s: float, most: int, life_s: float) -> None:
    folder.joinpath("kafka").mkdir()
    broker = ApacheKafka(folder / "kafka", free_port(), free_port())
    broker.format()
    broker.start()
    try:
        with parts.site(folder, broker.bootstrap) as site:
            load = Load("ledger", time.time_ns(), flushes=flushes)
            dying: list[parts.Mortal] = [Broker(broker, life_s), *(site.parts[name] for name in parts.KILLED)]
            killer = parts.Killer(dying, every_s, most)
            tries, obeyed = asyncio.run(parts.traffic(site, load, killer))
            broker.wait(BACK_S)
            parts.wait_all_ready(site)
            print(f"scale: {load}, kills: {dict(killer.kills)}, the sender was answered: {dict(tries)}")
            audit(site.clickhouse, load, obeyed)
    finally:
        broker.stop()


@pytest.mark.nightly
def test_every_event_is_there_once_where_the_broker_dies_too(tmp_path: Path) -> None:
    """Scaled: about 24,000 events; broker, loop, gateway, history and ClickHouse die in turn, every 3 s."""
    _ledger(tmp_path, flushes=16, every_s=3.0, most=12, life_s=0.0)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_a_million_events_are_there_once_where_the_broker_dies_too(tmp_path: Path) -> None:
    """In full; the broker every three minutes."""
    _ledger(tmp_path, flushes=660, every_s=4.0, most=10_000, life_s=180.0)


@pytest.mark.nightly
def test_one_of_three_brokers_dies_in_the_middle(tmp_path: Path) -> None:
    """Three replicas, two in sync: one broker is killed under traffic and comes back; all is there once."""
    with apache_kafka.cluster(tmp_path) as brokers:
        kafka = ",".join(broker.bootstrap for broker in brokers)

        async def trouble() -> None:
            await asyncio.sleep(8)
            brokers[1].kill()
            await asyncio.sleep(15)
            brokers[1].launch()

        with parts.site(tmp_path, kafka, replication=3) as site:
            load = Load("three", time.time_ns(), flushes=40)
            tries, obeyed = asyncio.run(parts.traffic(site, load, trouble))
            brokers[1].wait(BACK_S)
            print(f"scale: {load}, one of three brokers killed, the sender was answered: {dict(tries)}")
            audit(site.clickhouse, load, obeyed)
