"""How long a loop stands still while workers join, leave and are killed, under traffic.

A record a tenth of a second for each partition of ``otlp_logs``; how long the slowest of them took to
``train.events``, beside the median in calm. On the embedded broker, whose sessions last six seconds.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from bench.row import Row
from emitter.vocabulary import topics
from stream import events
from stream.kafka import reach
from tests.integration import ledger_parts as parts
from tests.integration.ledger_parts import Part, Site
from tests.stream.loop_rig import Rank

PARTITIONS: Final = 4
EVERY_S: Final = 0.1
CALM_S: Final = 3.0
SHARED_S: Final = 120.0


class _Traffic:
    """A run on each partition of ``otlp_logs``, and when its records came out of ingest."""

    def __init__(self, kafka: str) -> None:
        self._kafka = kafka
        self.delays: list[tuple[float, float]] = []

    async def __aenter__(self) -> _Traffic:
        self._producer = AIOKafkaProducer(**reach(self._kafka), enable_idempotence=False)
        self._consumer = AIOKafkaConsumer(topics.TRAIN_EVENTS, **reach(self._kafka), fetch_max_wait_ms=10)
        await self._producer.start()
        await self._consumer.start()
        self._tasks = [asyncio.ensure_future(self._send()), asyncio.ensure_future(self._read())]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._consumer.stop()
        await self._producer.stop()

    async def _send(self) -> None:
        ranks = [Rank(f"run-{number}") for number in range(PARTITIONS)]
        step = 0
        while True:
            for partition, rank in enumerate(ranks):
                value = rank.step(step, grad_norm=1.0)
                await self._producer.send_and_wait(topics.OTLP_LOGS, value, partition=partition)
            step += 1
            await asyncio.sleep(EVERY_S)

    async def _read(self) -> None:
        seen: set[tuple[int, int]] = set()
        async for message in self._consumer:
            batch = events.decode(message.value)
            if isinstance(batch, events.Batch):
                place = (batch.source.partition, batch.source.first)
                if place not in seen:  # after a crash some come again
                    seen.add(place)
                    self.delays.append((time.monotonic(), (time.time_ns() - batch.events[0].time) / 1e9))

    def worst_since(self, began: float) -> float:
        """The longest that a record took of those that came since then."""
        return max(delay for at, delay in self.delays if at >= began)


async def _shared(workers: list[Part]) -> None:
    deadline = time.monotonic() + SHARED_S
    while time.monotonic() < deadline:
        held = [await asyncio.to_thread(worker.partitions, topics.OTLP_LOGS) for worker in workers]
        if {len(one) for one in held} == {PARTITIONS // len(workers)}:
            return
        await asyncio.sleep(0.1)
    raise RuntimeError(f"the partitions were not shared within {SHARED_S:g} s")


async def _measure(site: Site) -> list[Row]:
    first, second = site.parts[parts.LOOP], site.parts[f"{parts.LOOP}-1"]
    more = [site.worker(parts.LOOP, number) for number in (2, 3)]
    rows: list[Row] = []
    async with _Traffic(site.kafka) as traffic:
        await _shared([first, second])
        await asyncio.sleep(CALM_S)
        traffic.delays.clear()
        await asyncio.sleep(CALM_S)
        calm = statistics.median(delay for _, delay in traffic.delays)

        async def stage(what: str, left: list[Part]) -> None:
            began = time.monotonic()
            await _shared(left)
            await asyncio.sleep(CALM_S)
            rows.append(Row(f"rebalance: {what}", traffic.worst_since(began), calm, "s", "a calm record"))

        for worker in more:
            worker.start()
        await stage("two workers become four", [first, second, *more])
        await more[0].stop()
        await more[1].stop()
        await stage("four become two, in order", [first, second])
        first.kill()
        await stage("one of two is killed", [second])
    return rows


def measure() -> list[Row]:
    """The longest a record waited at each change."""
    with (
        tempfile.TemporaryDirectory() as folder,
        parts.site(
            Path(folder), loops=2, partitions=PARTITIONS, without=(parts.HISTORY, parts.GATEWAY)
        ) as site,
    ):
        return asyncio.run(_measure(site))
