"""Sink processes on a real broker: offsets follow the rows, crashes and rebalances change nothing."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from emitter.vocabulary import topics
from stream import history
from stream import topics as kafka_topics
from stream.history.migrate import migrate
from tests.fixtures import free_port, start_broker, wait_for
from tests.fixtures_clickhouse import start_clickhouse
from tests.stream.sink.build import RESOURCE, logs, step
from tests.stream.sink.rig import Sink, caught_up, committed, send

pytestmark = pytest.mark.slow

WAIT_S = 90.0


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker of our own: the groups of these tests read every topic from its beginning."""
    child, bootstrap = start_broker(tmp_path_factory.mktemp("broker") / "broker.log")
    asyncio.run(kafka_topics.apply(bootstrap)).check()
    yield bootstrap
    child.kill()


@pytest.fixture
def run() -> str:
    return f"run-{uuid.uuid4().hex[:8]}"


def requests(run: str, first: int, last: int) -> list[tuple[str, int, bytes]]:
    """A request for each number, on both partitions in turn, each partition an emitter of its own."""
    now = {**RESOURCE, "train.run.id": run}
    return [
        (topics.OTLP_LOGS, n % 2, logs(step(n), resource={**now, "train.emitter.id": f"{run}/{n % 2}"}))
        for n in range(first, last)
    ]


def stored(client: Client, run: str) -> list[int]:
    query = "SELECT seq FROM train_steps WHERE run = {run:String} ORDER BY seq"
    return [row[0] for row in client.query(query, {"run": run}).result_rows]


def wait_stored(client: Client, run: str, count: int) -> None:
    wait_for(lambda: len(stored(client, run)) >= count, WAIT_S, f"{count} rows of {run}")


def test_rows_arrive_and_then_offsets_are_committed(
    kafka: str, history_url: str, database: Client, run: str, tmp_path: Path
) -> None:
    """The usual case: what was sent is there once, and the group ends up at the end."""
    sink = Sink(run, kafka, history_url, tmp_path)
    try:
        sink.wait_ready()
        send(kafka, requests(run, 0, 20))
        wait_stored(database, run, 20)
        wait_for(lambda: caught_up(kafka, run), WAIT_S, "the commit")
        assert sink.child.stop() == 0
    finally:
        sink.child.kill()
    assert stored(database, run) == list(range(20))


def test_a_sink_killed_between_insert_and_commit_stores_nothing_twice(
    kafka: str, history_url: str, database: Client, run: str, tmp_path: Path
) -> None:
    """The next one reads the same records again, cuts the same batches, and ClickHouse drops them."""
    first = Sink(run, kafka, history_url, tmp_path / "1", commit_s=3_600)
    try:
        first.wait_ready()
        send(kafka, requests(run, 0, 30))
        wait_stored(database, run, 30)
    finally:
        first.child.kill()
    assert {done for done, _ in committed(kafka, run).values()} <= {None, 0}

    second = Sink(run, kafka, history_url, tmp_path / "2")
    try:
        send(kafka, requests(run, 30, 40))
        wait_stored(database, run, 40)
        wait_for(lambda: caught_up(kafka, run), WAIT_S, "the commit")
    finally:
        second.child.kill()
    assert stored(database, run) == list(range(40))


def test_nothing_is_committed_or_lost_while_clickhouse_is_away_and_workers_come(
    kafka: str, run: str, tmp_path: Path
) -> None:
    """No offset is committed without its rows; a rebalance meanwhile neither hangs nor loses."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    send(kafka, requests(run, 0, 20))
    sinks = [Sink(run, kafka, url, tmp_path / "1", commit_s=0.1)]
    try:
        sinks[0].wait_ready()
        wait_for(lambda: "history is behind" in sinks[0].child.log(), WAIT_S, "the first refused insert")
        sinks.append(Sink(run, kafka, url, tmp_path / "2", commit_s=0.1))
        sinks[1].wait_ready()
        send(kafka, requests(run, 20, 40))
        wait_for(lambda: "history is behind" in sinks[1].child.log(), WAIT_S, "refused inserts of the second")
        assert {done for done, _ in committed(kafka, run).values()} <= {None, 0}

        clickhouse = start_clickhouse(tmp_path / "data", port)
        migrate(url)
        try:
            with history.connect(url) as client:
                wait_stored(client, run, 40)
                wait_for(lambda: caught_up(kafka, run), WAIT_S, "the commit")
                assert stored(client, run) == list(range(40))
        finally:
            clickhouse.child.kill()
    finally:
        for sink in sinks:
            sink.child.kill()


def test_a_sink_stops_at_once_while_clickhouse_is_away(kafka: str, run: str, tmp_path: Path) -> None:
    """SIGTERM does not wait for ClickHouse; what was not stored is read again by the next."""
    send(kafka, requests(run, 0, 2))
    sink = Sink(run, kafka, f"http://127.0.0.1:{free_port()}", tmp_path)
    try:
        sink.wait_ready()
        wait_for(lambda: "history is behind" in sink.child.log(), WAIT_S, "the first refused insert")
        assert sink.child.stop(timeout=19) == 0
    finally:
        sink.child.kill()
    assert {done for done, _ in committed(kafka, run).values()} <= {None, 0}
