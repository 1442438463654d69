"""Inserts of which nobody knows whether they were stored, and schemas that change under way."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from clickhouse_connect.driver.client import Client

from stream import history, resources
from stream.history.migrate import migrate
from stream.history.settings import DEFAULT_DAYS, SchemaSettings
from tests.fixtures import wait_for_async
from tests.fixtures_clickhouse import Endpoint, answers_ping, spawn_clickhouse, start_clickhouse
from tests.stream.sink.feeding import WAIT_S, Sink, check_once, sent
from tests.stream.sink.relay import Fault, relaying

SINK = "0016_sink.sql"
"""Without it a sink of today does not begin."""
FOR_EVER = SchemaSettings(days=dict.fromkeys(DEFAULT_DAYS, 0))


async def until(condition: Callable[[], object], what: str) -> None:
    async def look() -> object:
        return condition()

    await wait_for_async(look, WAIT_S, what)


@pytest.mark.parametrize("fault", ["refused", "lost"])
@pytest.mark.parametrize("table", ["train_steps", "trainwarden_batches"])
def test_a_server_error_in_the_middle_of_an_insert(
    history_url: str, database: Client, table: str, fault: Fault
) -> None:
    """Stored or not, the sink hears an error and asks again: each row is there once, with its roll-up."""
    run, parts = f"error-{table}-{fault}", urlsplit(history_url)

    async def play(url: str) -> None:
        sink = Sink(url + parts.path, run)
        await sink.feed([sent(run, n, ms=0) for n in range(5)])
        counts = await sink.stored(5)
        assert counts.retries == 2
        await sink.kill()

    with relaying(f"{parts.scheme}://{parts.netloc}", table) as (url, relay):
        relay.faults = [fault, fault]
        asyncio.run(play(url))
        assert relay.faults == []
    check_once(database, run, range(5))


@pytest.fixture
def own_clickhouse(tmp_path: Path) -> Iterator[Endpoint]:
    endpoint = start_clickhouse(tmp_path / "data")
    yield endpoint
    endpoint.child.kill()


@pytest.mark.slow
def test_an_endpoint_killed_between_insert_and_answer(own_clickhouse: Endpoint) -> None:
    """It stored the rows, and was killed before it could say so; it knows that after its restart."""
    migrate(own_clickhouse.url, settings=FOR_EVER)
    port, back = urlsplit(own_clickhouse.url).port, list[Endpoint]()

    async def play(url: str) -> None:
        sink = Sink(url, "killed")
        await sink.feed([sent("killed", n, ms=0) for n in range(5)])
        await until(lambda: sink.pipeline.counts.retries >= 1, "the broken insert")
        back.append(spawn_clickhouse(own_clickhouse.data_dir, port))
        await sink.stored(5)
        await sink.kill()

    with relaying(own_clickhouse.url, "train_steps") as (url, relay):
        relay.faults, relay.silent, relay.hook = ["lost"], True, own_clickhouse.child.kill
        asyncio.run(play(url))
    try:
        with history.connect(back[0].url) as client:
            check_once(client, "killed", range(5))
    finally:
        back[0].child.kill()


@pytest.mark.slow
def test_schemas_change_while_records_flow(
    own_clickhouse: Endpoint, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A sink newer than the schema waits and says so; one older than the schema goes on."""
    url, run = own_clickhouse.url, "migrated"
    older, newer = tmp_path / "older", tmp_path / "newer"
    shipped = resources.path("clickhouse")
    shutil.copytree(shipped, newer)
    shutil.copytree(shipped, older)
    for path in older.glob("*.sql"):
        if path.name >= SINK:
            path.unlink()
    number = len(list(newer.glob("*.sql"))) + 1
    (newer / f"{number:04}_more.sql").write_text(
        "-- more: a later version.\n-- Writer: nobody.\n\n"
        "ALTER TABLE train_steps {on_cluster} ADD COLUMN IF NOT EXISTS unit String AFTER name;"
    )
    migrate(url, settings=FOR_EVER, folder=older)

    async def play() -> None:
        sink = Sink(url, run)
        await sink.feed([sent(run, n) for n in range(5)])
        await until(lambda: sink.pipeline.counts.retries >= 1, "a refused request")
        assert not sink.heard.stored
        assert "bring the schema up to date with `trainwarden db migrate`" in (sink.pipeline.away or "")
        await asyncio.to_thread(migrate, url, settings=FOR_EVER)
        await sink.stored(5)
        migrating = asyncio.create_task(asyncio.to_thread(migrate, url, settings=FOR_EVER, folder=newer))
        for n in range(5, 60):
            await sink.feed([sent(run, n)])
        assert await migrating == [f"{number:04}_more.sql"]
        await sink.feed([sent(run, n) for n in range(60, 70)])
        assert (await sink.stored(70)).bad == 0
        await sink.kill()

    with caplog.at_level(logging.WARNING):
        asyncio.run(play())
    with history.connect(url) as client:
        check_once(client, run, range(70))
    assert any(m.startswith("history is behind, nothing is lost, trying again: ") for m in caplog.messages)
    assert answers_ping(url)
