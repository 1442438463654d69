"""From ``remediation.intents`` on a real broker to far ends that record."""

from __future__ import annotations

import asyncio
import logging
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from emitter.vocabulary import cloudevents, topics
from stream import lag
from stream.faustkit.preflight import BrokerTraits
from stream.notify.config import Hook
from stream.notify.courier import GROUP, Courier
from tests.fixtures import APACHE, ENV_TEST_KAFKA
from tests.stream.notify.far_end import FarEnd, Reply, serving

WAIT_S = 60.0
# Apache Kafka takes no shorter session than six seconds.
TRAITS = (
    BrokerTraits(session_timeout_s=6.0)
    if os.environ.get(ENV_TEST_KAFKA) == APACHE
    else BrokerTraits(session_timeout_s=2.0, says_goodbye=False)
)
pytestmark = pytest.mark.slow


def _intent(run: str, number: int, decision: str = "notified", **more: Any) -> bytes:
    identity = f"{run}-{number}/{decision}"
    data = {
        "id": identity, "decision": decision, "run": run, "attempt": 0, "rule": "nan-loss",
        "time": cloudevents.rfc3339(time.time_ns()), "reason": f"Loss is NaN ({number})", "action": "notify",
        "incident": f"i-{run}", "command": None, **more,
    }  # fmt: skip
    return cloudevents.encode(cloudevents.INTENT, identity, run, data["time"], data)


async def _write(kafka: str, values: Sequence[bytes]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, enable_idempotence=False)
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(topics.REMEDIATION_INTENTS, value, partition=0)
    finally:
        await producer.stop()


class Story:
    """A run of its own, a hook for it, and what its far end got of it."""

    def __init__(self, kafka: str, end: FarEnd, **more: Any) -> None:
        self.kafka, self.end, self.run = kafka, end, f"notify-{uuid.uuid4().hex[:8]}"
        settings = {"limit": (1000, 1.0), "give_up_s": 20.0, "timeout_s": 10.0, **more}
        self.hook = Hook(self.run, "json", end.url, runs=(self.run,), **settings)

    def courier(self) -> Courier:
        return Courier(self.kafka, self.hook, TRAITS)

    def told(self) -> list[str]:
        return [
            request.headers["Idempotency-Key"].removeprefix(f"{self.run}-") for request in self.end.requests
        ]

    async def write(self, *values: bytes) -> None:
        await _write(self.kafka, values)

    async def until(self, count: int) -> None:
        deadline = time.monotonic() + WAIT_S
        while len(self.end.requests) < count:
            assert time.monotonic() < deadline, f"{len(self.end.requests)} of {count} arrived: {self.told()}"
            await asyncio.sleep(0.02)

    async def read(self) -> None:
        """Wait until all of the topic counts as read."""
        ends = await lag.end_offsets(self.kafka, [topics.REMEDIATION_INTENTS])
        await lag.wait_until_read(self.kafka, f"{GROUP}{self.hook.name}", ends, WAIT_S)


@contextmanager
def _story(kafka: str, *replies: Reply, **more: Any) -> Iterator[Story]:
    with serving(*replies) as end:
        yield Story(kafka, end, **more)


async def _with(courier: Courier, work: Any) -> None:
    task = asyncio.ensure_future(courier.run())
    try:
        await work
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_each_decision_is_told_once(broker: str) -> None:
    """Repeated records are not, nor what the hook did not ask for; a restart tells nothing again."""
    with _story(broker) as story:
        one, two = _intent(story.run, 1), _intent(story.run, 2)

        async def first() -> None:
            others = (_intent(story.run, 8, "sent"), _intent("another-run", 9), b"{", b"\xff")
            await story.write(one, one, *others, two, one)
            await story.until(2)
            await story.read()

        async def second() -> None:
            # A worker that takes over writes its predecessor's last decisions again.
            await story.write(one, two, _intent(story.run, 3))
            await story.until(3)
            await story.write(_intent(story.run, 4))
            await story.until(4)
            await story.read()

        before = story.courier()
        asyncio.run(_with(before, first()))
        after = story.courier()
        asyncio.run(_with(after, second()))
        assert story.told() == ["1/notified", "2/notified", "3/notified", "4/notified"]
        assert (after.counts.sent, after.counts.repeated) == (2, 2)


def test_what_was_not_taken_is_told_after_a_restart(broker: str) -> None:
    """A worker that ends while the far end is away leaves the notice for the next one."""
    with _story(broker, Reply(500)) as story:

        async def first() -> None:
            await story.write(_intent(story.run, 1))
            await story.until(1)

        async def second() -> None:
            await story.until(tries + 1)

        asyncio.run(_with(story.courier(), first()))
        story.end.replies = [Reply()]
        tries = len(story.end.requests)
        asyncio.run(_with(story.courier(), second()))
        assert set(story.told()) == {"1/notified"}


def test_one_hook_that_is_away_holds_up_no_other(broker: str) -> None:
    """Each has its own place in the topic."""
    with _story(broker, Reply(after_s=120.0), timeout_s=150.0) as slow, serving() as end:
        quick = Story(broker, end)
        quick.hook = Hook(f"{slow.run}-q", "json", end.url, runs=(slow.run,))

        async def both() -> None:
            await slow.write(*(_intent(slow.run, number) for number in range(3)))
            await quick.until(3)
            assert len(slow.end.requests) <= 1

        asyncio.run(_with(slow.courier(), _with(quick.courier(), both())))


def test_too_many_are_held_back_and_counted(broker: str) -> None:
    """The next notice says how many; without a next one a summary of its own does."""
    with _story(broker, limit=(2, 5.0)) as story:
        # All of them before anybody reads: they come within the time that the limit is for.
        asyncio.run(story.write(*(_intent(story.run, number) for number in range(7))))

        async def work() -> None:
            await story.until(3)
            while courier.counts.sent < 3:
                await asyncio.sleep(0.02)

        courier = story.courier()
        asyncio.run(_with(courier, work()))
        first, second, summary = (request.json for request in story.end.requests)
        assert (first["held_back"], second["held_back"], summary["held_back"]) == (0, 0, 5)
        assert summary["event"] == "held_back"
        assert summary["summary"] == "5 more were not sent one by one: 5 notified (nan-loss)"
        assert (courier.counts.sent, courier.counts.held_back) == (3, 5)


def test_old_news_is_held_back(broker: str) -> None:
    """A hook that is new gets no flood of what was decided long ago, but its count."""
    with _story(broker, max_age_s=1.0) as story:

        async def work() -> None:
            await story.write(*(_intent(story.run, number) for number in range(3)))
            await asyncio.sleep(1.5)
            await _with(story.courier(), story.until(1))

        asyncio.run(work())
        assert story.end.requests[0].json["event"] == "held_back"
        assert story.end.requests[0].json["held_back"] == 3


def test_a_refusal_is_logged_and_left(broker: str, caplog: pytest.LogCaptureFixture) -> None:
    """One line with the cure and without the address; what comes after it goes out."""
    with _story(broker, Reply(404, b"no_service"), Reply()) as story, caplog.at_level(logging.ERROR):

        async def work() -> None:
            await story.write(_intent(story.run, 1), _intent(story.run, 2))
            await story.until(2)
            await story.read()

        courier = story.courier()
        asyncio.run(_with(courier, work()))
    assert story.told() == ["1/notified", "2/notified"]
    assert (courier.counts.sent, courier.counts.failed) == (1, 1)
    said = (
        f"notified about {story.run} was not delivered: it answered 404 (no_service); check the hook's `url`"
    )
    assert said in caplog.text
    assert "/hook" not in caplog.text


def test_without_a_broker_it_waits_for_one(caplog: pytest.LogCaptureFixture) -> None:
    """A courier never ends by itself."""
    with serving() as end, caplog.at_level(logging.WARNING):
        courier = Story("127.0.0.1:1", end).courier()

        async def work() -> None:
            while "trying again in 5 s" not in caplog.text:
                await asyncio.sleep(0.05)

        asyncio.run(asyncio.wait_for(_with(courier, work()), WAIT_S))
