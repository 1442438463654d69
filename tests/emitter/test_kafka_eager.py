"""Asking more often for commands while one may be under way."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from emitter._clock import Clock
from emitter._queue import Queue
from emitter._sender import Sender
from emitter._settings import resolve
from emitter.kafka import eager
from emitter.kafka.eager import EAGER_WAIT_MS, NEAR_WAIT_MS, Eager
from emitter.otlp.encoder import Encoder
from emitter.testing import MemoryExporter
from tests.fixtures import wait_for, wait_for_async


def _consumer() -> Any:
    return SimpleNamespace(_fetcher=SimpleNamespace(_fetch_max_wait_ms=NEAR_WAIT_MS))


async def _expecting(asks: Eager, consumer: Any) -> asyncio.Task[None]:
    running = asyncio.ensure_future(asks.run(consumer))
    await asyncio.sleep(0)
    asks.expect(asyncio.get_running_loop())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return running


async def _wait(consumer: Any, expected_ms: int) -> None:
    async def reached() -> bool:
        return bool(consumer._fetcher._fetch_max_wait_ms == expected_ms)

    await wait_for_async(reached, what=f"fetches that wait {expected_ms} ms")


def test_fetches_are_short_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """And as long as before after it."""
    monkeypatch.setattr(eager, "EAGER_S", 0.2)

    async def go() -> None:
        consumer = _consumer()
        running = await _expecting(Eager(near=True), consumer)
        await _wait(consumer, EAGER_WAIT_MS)
        await _wait(consumer, NEAR_WAIT_MS)
        running.cancel()

    asyncio.run(go())


def test_what_is_urgent_again_soon_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss that comes and goes must not keep the trainer's interpreter busy."""
    monkeypatch.setattr(eager, "EAGER_S", 0.01)

    async def go() -> None:
        asks, consumer = Eager(near=True), _consumer()
        running = await _expecting(asks, consumer)
        await _wait(consumer, EAGER_WAIT_MS)
        await _wait(consumer, NEAR_WAIT_MS)
        asks.expect(asyncio.get_running_loop())
        assert asks._expected is not None
        await asyncio.sleep(0)
        assert not asks._expected.is_set()
        running.cancel()

    asyncio.run(go())


def test_a_broker_that_wakes_is_asked_as_before() -> None:
    """Apache Kafka answers a waiting fetch as soon as there is something."""

    async def go() -> None:
        consumer = _consumer()
        running = await _expecting(Eager(near=False), consumer)
        assert consumer._fetcher._fetch_max_wait_ms == NEAR_WAIT_MS
        running.cancel()

    asyncio.run(go())


def test_an_end_in_between_restores_the_wait() -> None:
    """The consumer may live on."""

    async def go() -> None:
        consumer = _consumer()
        running = await _expecting(Eager(near=True), consumer)
        await _wait(consumer, EAGER_WAIT_MS)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert consumer._fetcher._fetch_max_wait_ms == NEAR_WAIT_MS

    asyncio.run(go())


def test_what_is_urgent_is_told_once_it_was_sent() -> None:
    """Not what goes out because it is time to."""
    told: list[int] = []
    exporter, queue = MemoryExporter(), Queue(100)
    settings = resolve({"flush_s": 0.01}, environ={})
    sender = Sender(
        queue, exporter, Encoder({"train.rank": 0}), Clock(), settings, lambda: None,
        told=lambda: told.append(len(exporter.received)),
    )  # fmt: skip
    sender.start()
    queue.offer(1, "train.log", {}, body="usual")
    wait_for(lambda: len(exporter.received) == 1, what="the usual record")
    assert told == []
    queue.offer(2, "train.log", {}, body="urgent")
    queue.wake.set()
    wait_for(lambda: told, what="the word that something urgent was sent")
    assert told == [2]
    sender.close(10)
