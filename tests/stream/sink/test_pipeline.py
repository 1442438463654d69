"""Batches on their way: what is acknowledged when, and what happens while ClickHouse is away."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client

from stream import history
from stream.history.migrate import migrate
from stream.history.settings import DEFAULT_DAYS, SchemaSettings
from stream.sink.cuts import Limits
from stream.sink.pipeline import Pipeline
from stream.sink.records import Record
from stream.sink.register import Register
from stream.sink.writer import UnavailableError, Writer
from tests.fixtures import wait_for_async
from tests.fixtures_clickhouse import Endpoint, spawn_clickhouse, start_clickhouse
from tests.stream.sink.build import RESOURCE, T0, logs, record, step

QUICK = Limits(span_s=0.05, grace_s=0.01)


class Delivered:
    """What the broker's side heard of one record."""

    def __init__(self, heard: list[tuple[str, int]], offset: int) -> None:
        self.heard, self.offset = heard, offset

    async def stored(self) -> None:
        self.heard.append(("stored", self.offset))

    def given_up(self) -> None:
        self.heard.append(("given up", self.offset))


class Broken:
    """Refuses every insert until it is mended; then counts the rows of each."""

    def __init__(self) -> None:
        self.mended = False
        self.tried = 0
        self.rows: list[int] = []

    def insert(self, table: str, rows: pa.Table, token: str) -> int:
        self.tried += 1
        if not self.mended:
            raise UnavailableError("nobody there")
        self.rows.append(rows.num_rows)
        return 0


def request(run: str, *seqs: int) -> bytes:
    sender = {**RESOURCE, "train.run.id": run, "train.emitter.id": run}
    return logs(*(step(seq) for seq in seqs), resource=sender)


async def playing(pipeline: Pipeline, play: Callable[[], Awaitable[None]]) -> None:
    """Run the pipeline while ``play`` lasts."""
    running = asyncio.create_task(pipeline.run())
    try:
        await play()
    finally:
        running.cancel()


async def until(condition: Callable[[], object], what: str) -> None:
    async def look() -> object:
        return condition()

    await wait_for_async(look, 60, what)


def stored(client: Client, run: str) -> list[int]:
    rows = client.query("SELECT seq FROM train_steps WHERE run = {run:String} ORDER BY seq", {"run": run})
    return [row[0] for row in rows.result_rows]


@pytest.fixture
def own_clickhouse(tmp_path: Path) -> Iterator[Endpoint]:
    """An endpoint of one's own that may be killed, with all tables."""
    endpoint = start_clickhouse(tmp_path / "data")
    migrate(endpoint.url, settings=SchemaSettings(days=dict.fromkeys(DEFAULT_DAYS, 0)))
    yield endpoint
    endpoint.child.kill()


def test_records_are_stored_then_acknowledged_in_their_order(history_url: str, database: Client) -> None:
    """When the last is acknowledged, all rows are there; partitions keep their order."""
    heard: list[tuple[str, int]] = []
    pipeline = Pipeline(Writer(history_url), Register(history_url), limits=QUICK)

    async def play() -> None:
        for offset in range(20):
            await pipeline.add(
                record(request("run-order", offset), offset=offset, time=T0 + offset * 10**7),
                Delivered(heard, offset),
            )
        await until(lambda: len(heard) == 20, "all acknowledgements")

    asyncio.run(playing(pipeline, play))

    assert heard == [("stored", offset) for offset in range(20)]
    assert stored(database, "run-order") == list(range(20))
    assert pipeline.counts.batches == 4
    assert (pipeline.counts.records, pipeline.counts.bad, pipeline.counts.duplicates) == (20, 0, 0)


def test_a_malformed_record_is_acknowledged_and_the_rest_goes_in(
    history_url: str, database: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """It must not come again for ever: one error, one count."""
    heard: list[tuple[str, int]] = []
    pipeline = Pipeline(Writer(history_url), Register(history_url), limits=QUICK)

    async def play() -> None:
        for offset, payload in enumerate([request("run-bad", 0), b"\xff", request("run-bad", 2)]):
            await pipeline.add(record(payload, offset=offset), Delivered(heard, offset))
        await until(lambda: len(heard) == 3, "all acknowledgements")

    with caplog.at_level(logging.ERROR):
        asyncio.run(playing(pipeline, play))

    assert [state for state, _ in heard] == ["stored"] * 3
    assert stored(database, "run-bad") == [0, 2]
    assert pipeline.counts.bad == 1
    assert len(caplog.messages) == 1


def test_reading_the_same_records_again_stores_nothing_twice(history_url: str, database: Client) -> None:
    """A sink that died between insert and commit: another one, with an empty memory, reads them again."""

    async def play(pipeline: Pipeline, heard: list[tuple[str, int]]) -> None:
        for offset in range(30):
            again = record(request("run-again", offset), offset=offset, time=T0 + offset * 10**7)
            await pipeline.add(again, Delivered(heard, offset))
        await until(lambda: len(heard) == 30, "all acknowledgements")

    for _ in range(2):
        pipeline, heard = (
            Pipeline(Writer(history_url), Register(history_url), limits=QUICK),
            list[tuple[str, int]](),
        )
        asyncio.run(playing(pipeline, lambda: play(pipeline, heard)))  # noqa: B023 - run at once

    assert stored(database, "run-again") == list(range(30))


@pytest.mark.slow
def test_nothing_is_lost_while_clickhouse_is_away(
    own_clickhouse: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    """Killed, and started again later: nothing is acknowledged meanwhile, everything is there once."""
    heard: list[tuple[str, int]] = []
    pipeline = Pipeline(Writer(own_clickhouse.url), Register(own_clickhouse.url), limits=QUICK)
    port = int(own_clickhouse.url.rsplit(":", 1)[1])
    back: list[Endpoint] = []

    async def send(first: int, last: int) -> None:
        for offset in range(first, last):
            payload = request("run-away", offset)
            await pipeline.add(
                record(payload, offset=offset, time=T0 + offset * 10**8), Delivered(heard, offset)
            )

    async def play() -> None:
        await send(0, 5)
        await until(lambda: len(heard) == 5, "the records before the outage")
        own_clickhouse.child.kill()
        await send(5, 15)
        await until(lambda: pipeline.counts.retries >= 2, "two refused inserts")
        assert len(heard) == 5
        back.append(spawn_clickhouse(own_clickhouse.data_dir, port))
        await until(lambda: len(heard) == 15, "the records of the outage")

    with caplog.at_level(logging.WARNING, "stream.sink.pipeline"):
        asyncio.run(playing(pipeline, play))
    try:
        with history.connect(back[0].url) as client:
            assert stored(client, "run-away") == list(range(15))
    finally:
        back[0].child.stop()
    said = [item.message for item in caplog.records if item.name == "stream.sink.pipeline"]
    assert said[0].startswith("history is behind, nothing is lost, trying again: ")
    assert said[-1].startswith("history takes inserts again, after ")


def test_reading_stops_when_enough_is_waiting(history_url: str) -> None:
    """``add`` waits while ClickHouse is away and goes on when it is back."""
    broken, heard = Broken(), list[tuple[str, int]]()
    limits = Limits(batch_bytes=1_000, span_s=0.05, grace_s=0.01, waiting_bytes=3_000)
    pipeline = Pipeline(broken, Register(history_url), limits=limits)

    async def send() -> None:
        for offset in range(40):
            await pipeline.add(record(request("r", offset), offset=offset), Delivered(heard, offset))

    async def play() -> None:
        sending = asyncio.create_task(send())
        await until(lambda: broken.tried >= 2, "two refused inserts")
        assert not sending.done()
        assert pipeline.waiting_bytes < 4_000
        broken.mended = True
        await until(lambda: len(heard) == 40, "all acknowledgements")
        await sending

    asyncio.run(playing(pipeline, play))

    assert heard == [("stored", offset) for offset in range(40)]
    assert pipeline.waiting_bytes == 0


def test_what_waits_is_given_up_when_partitions_are_taken_away(history_url: str) -> None:
    """The rebalance must not wait for ClickHouse; what comes again afterwards is stored, not a duplicate."""
    broken, heard = Broken(), list[tuple[str, int]]()
    active = [True]
    limits = Limits(batch_bytes=1_000, span_s=0.05, grace_s=0.01, waiting_bytes=3_000)
    pipeline = Pipeline(broken, Register(history_url), active=lambda: active[0], limits=limits)

    async def send(records: list[Record]) -> None:
        for each in records:
            if active[0]:
                await pipeline.add(each, Delivered(heard, each.offset))

    async def play() -> None:
        # More than may wait, so that one record stands at the door when all is given up.
        records = [record(request("run-back", offset), offset=offset) for offset in range(20)]
        sending = asyncio.create_task(send(records))
        await until(lambda: broken.tried >= 1, "a refused insert")
        active[0] = False
        await asyncio.wait_for(sending, 60)
        given_up = len(heard)
        assert heard == [("given up", offset) for offset in range(given_up)]
        broken.mended = active[0] = True
        await send(records)
        await until(lambda: len(heard) >= given_up + 20, "all acknowledgements")

    asyncio.run(playing(pipeline, play))

    assert [offset for state, offset in heard if state == "stored"] == list(range(20))
    assert pipeline.counts.duplicates == 0


class Slow:
    """Inserts nothing before it may, then all."""

    def __init__(self) -> None:
        self.begun, self.may = threading.Event(), threading.Event()

    def insert(self, table: str, rows: pa.Table, token: str) -> int:
        self.begun.set()
        assert self.may.wait(60)
        return 0


def test_a_rebalance_waits_only_for_inserts_that_were_begun(history_url: str) -> None:
    """The rest is given up at once, and stored where it comes again"""
    slow, heard, leaving = Slow(), list[tuple[str, int]](), [False]
    pipeline = Pipeline(slow, Register(history_url), leaving=lambda: leaving[0], limits=QUICK)
    records = [record(request("run-leaving", offset), offset=offset) for offset in range(9)]

    async def add(some: list[Record]) -> None:
        for each in some:
            await pipeline.add(each, Delivered(heard, each.offset))

    async def play() -> None:
        await add(records[:3])
        await until(slow.begun.is_set, "an insert")
        await add(records[3:])
        leaving[0] = True
        slow.may.set()
        await until(lambda: len(heard) == 9, "a word about each")
        begun = [offset for state, offset in heard if state == "stored"]
        assert begun == list(range(len(begun)))
        assert 1 <= len(begun) <= 3
        assert heard[len(begun) :] == [("given up", offset) for offset in range(len(begun), 9)]
        leaving[0] = False
        await add(records[len(begun) :])
        await until(lambda: len(heard) == 18 - len(begun), "all acknowledgements")

    asyncio.run(playing(pipeline, play))

    assert [offset for state, offset in heard if state == "stored"] == list(range(9))
    assert (pipeline.counts.duplicates, pipeline.waiting_bytes) == (0, 0)
