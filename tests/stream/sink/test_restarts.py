"""Real sink processes: a broker whose offsets begin again, a sink that stands still while another goes on."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from emitter.vocabulary import topics
from stream import topics as kafka_topics
from tests.fixtures import free_port, start_broker, wait_for
from tests.stream.sink.build import RESOURCE, logs, step
from tests.stream.sink.rig import Sink, caught_up, send

pytestmark = [pytest.mark.slow, pytest.mark.nightly]

WAIT_S = 120.0


def requests(run: str, first: int, last: int) -> list[tuple[str, int, bytes]]:
    """Without an emitter's id: only Kafka's coordinates tell these records apart."""
    sender = {**RESOURCE, "train.run.id": run, "train.emitter.id": None}
    return [(topics.OTLP_LOGS, n % 2, logs(step(n), resource=sender)) for n in range(first, last)]


def stored(client: Client, run: str) -> list[int]:
    query = "SELECT step FROM train_steps WHERE run = {run:String} ORDER BY step"
    return [row[0] for row in client.query(query, {"run": run}).result_rows]


def test_a_broker_whose_offsets_begin_again(history_url: str, database: Client, tmp_path: Path) -> None:
    """It is killed and started empty: the rows of both lives are there once."""
    port = free_port()
    for life in range(2):
        child, kafka = start_broker(tmp_path / f"broker-{life}.log", port)
        asyncio.run(kafka_topics.apply(kafka)).check()
        sink = Sink("reborn-broker", kafka, history_url, tmp_path / str(life))
        try:
            send(kafka, requests("reborn-broker", life * 20, life * 20 + 20))
            wait_for(lambda: len(stored(database, "reborn-broker")) >= life * 20 + 20, WAIT_S, "the rows")  # noqa: B023
        finally:
            sink.child.kill()
            child.kill()
    assert stored(database, "reborn-broker") == list(range(40))


def test_a_sink_stopped_for_longer_than_its_session(
    history_url: str, database: Client, tmp_path: Path
) -> None:
    """Another takes over its partitions; when it wakes, what it had at hand is not stored again."""
    run = "stopped-sink"
    child, kafka = start_broker(tmp_path / "broker.log")
    asyncio.run(kafka_topics.apply(kafka)).check()
    sinks = [Sink(run, kafka, history_url, tmp_path / "1")]
    try:
        sinks[0].wait_ready()
        send(kafka, requests(run, 0, 20))
        wait_for(lambda: len(stored(database, run)) >= 10, WAIT_S, "some rows")
        sinks[0].child.freeze()
        sinks.append(Sink(run, kafka, history_url, tmp_path / "2"))
        send(kafka, requests(run, 20, 60))
        wait_for(lambda: len(stored(database, run)) >= 60, WAIT_S, "the rows of the heir")
        os.kill(sinks[0].child.pid, signal.SIGCONT)
        send(kafka, requests(run, 60, 80))
        wait_for(lambda: len(stored(database, run)) >= 80, WAIT_S, "the rows after it woke")
        wait_for(lambda: caught_up(kafka, run), WAIT_S, "the commit")
        assert stored(database, run) == list(range(80))
    finally:
        for sink in sinks:
            sink.child.kill()
        child.kill()
