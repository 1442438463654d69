"""Kafka records given to a pipeline by hand, as a broker would deliver them, and what history holds then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from clickhouse_connect.driver.client import Client

from emitter.vocabulary import topics
from stream.sink.cuts import Limits
from stream.sink.pipeline import Counts, Inserter, Pipeline
from stream.sink.plans import Place
from stream.sink.records import Record
from stream.sink.register import Register
from stream.sink.writer import Writer
from tests.fixtures import wait_for_async
from tests.stream.sink.build import RESOURCE, T0, logs, step

QUICK = Limits(span_s=0.05, grace_s=0.01)
WAIT_S = 90.0


class Deliveries:
    """The broker's side: what it heard of each record."""

    def __init__(self) -> None:
        self.stored: list[tuple[str, int, int]] = []
        self.given_up: list[tuple[str, int, int]] = []

    def of(self, record: Record) -> Delivered:
        return Delivered(self, record.source)


class Delivered:
    def __init__(self, deliveries: Deliveries, source: tuple[str, int, int]) -> None:
        self._deliveries, self._source = deliveries, source

    async def stored(self) -> None:
        self._deliveries.stored.append(self._source)

    def given_up(self) -> None:
        self._deliveries.given_up.append(self._source)


class Sink:
    """A pipeline that runs in this process; ``kill`` it at any time."""

    def __init__(
        self,
        url: str,
        source: str,
        *,
        writer: Inserter | None = None,
        active: Callable[[], bool] = lambda: True,
        ends: dict[Place, int] | None = None,
        limits: Limits = QUICK,
    ) -> None:
        self.heard = Deliveries()
        self.register = Register(url, source)
        end_of = (ends or {}).get
        self.pipeline = Pipeline(
            writer or Writer(url), self.register, active=active, limits=limits, end_of=end_of
        )
        self._running: asyncio.Task[None] | None = None

    async def feed(self, records: Iterable[Record]) -> None:
        """Deliver, without waiting for anything to be stored."""
        if self._running is None:
            self._running = asyncio.create_task(self.pipeline.run())
        for each in records:
            await self.pipeline.add(each, self.heard.of(each))

    async def stored(self, count: int) -> Counts:
        """Wait until so many were acknowledged."""

        async def enough() -> bool:
            if self._running is not None and self._running.done():
                self._running.result()
            return len(self.heard.stored) >= count

        await wait_for_async(enough, WAIT_S, f"{count} acknowledgements")
        return self.pipeline.counts

    async def told(self) -> None:
        """Wait until it is written down that all of it is stored."""

        async def nothing_left() -> bool:
            return not self.pipeline._waves.finished

        await wait_for_async(nothing_left, WAIT_S, "the last batches to be told as finished")

    async def kill(self) -> None:
        """It does nothing more. What runs in a thread at this moment ends by itself."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})


async def store(url: str, source: str, records: Sequence[Record], **options: Any) -> Counts:
    """A new sink, without memory, that reads these records and, once all is told, dies."""
    sink = Sink(url, source, **options)
    try:
        await sink.feed(records)
        counts = await sink.stored(len(records))
        await sink.told()
        return counts
    finally:
        await sink.kill()


def sent(run: str, number: int, *, partition: int = 0, offset: int | None = None, ms: int | None = None,
         emitter: str | None = None, value: float = 1.0) -> Record:  # fmt: skip
    """A Kafka record with one step of this number; without an emitter only Kafka's coordinates know it."""
    sender = {**RESOURCE, "train.run.id": run, "train.emitter.id": emitter}
    payload = logs(step(number, {"loss": value}), resource=sender)
    time = T0 + (number * 10 if ms is None else ms) * 1_000_000
    return Record(topics.OTLP_LOGS, partition, number if offset is None else offset, time, payload)


def check_once(client: Client, run: str, numbers: Iterable[int]) -> None:
    """Each of these steps has one row, and its roll-up and its run say the same."""
    expected = sorted(numbers)
    rows = client.query("SELECT step FROM train_steps WHERE run = %(run)s ORDER BY step", {"run": run})
    assert [row[0] for row in rows.result_rows] == expected
    rollup = client.query(
        "SELECT sum(count), sum(total) FROM train_steps_1m WHERE run = %(run)s", {"run": run}
    )
    assert rollup.result_rows == [(len(expected), float(len(expected)))]
    runs = client.query("SELECT ranks, last_step FROM train_runs_latest WHERE run = %(run)s", {"run": run})
    assert runs.result_rows == [(1, expected[-1])]
