"""One trainer, one stack, and what can happen to a part or between two parts, one after another.

The short form has a few of each kind (kills of every part in turn are in tests/integration/test_ledger.py);
the nightly form has each part, each link, alone, and longer.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from emitter.vocabulary import topics
from stream.ingest.agent import BEACON_S
from tests.faults import hostile
from tests.faults.proxy import BLACKHOLE, CUT, Fault
from tests.faults.rig import BAD_EVERY, Stack, check_ledger, running_stack
from tests.stream.loop_rig import Rank

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PRODUCE_S = 5.0
"""So long the gateway waits for the broker before it answers 503."""
STEPS = 2 * BAD_EVERY + 10
HOUR_S = 3600


class Tour:
    """Goes from fault to fault; after each, something new has to arrive."""

    def __init__(self, stack: Stack, run: str) -> None:
        self.stack, self.run = stack, run
        self._began = time.monotonic()

    def over(self, what: str) -> None:
        """The fault is over: wait until the history grows again."""
        self.stack.wait_moving(self.run)
        print(f"{time.monotonic() - self._began:6.1f} s: goes on after {what}")

    def broken(self, before: str, fault: Fault, seconds: float, part: str | None = None) -> None:
        """A link is broken for so long: to ``before``, of one part or of all."""
        with self.stack.before[before].broken(fault, [self.stack.pid(part)] if part else ()):
            time.sleep(seconds)

    def killed(self, part: str) -> None:
        """kill -9, and started again as a supervisor would."""
        self.stack.kill(part)
        self.stack.start(part)

    def zombie(self, part: str, seconds: float) -> None:
        """SIGSTOP for longer than the session; another one takes over; then it wakes up and writes on."""
        stack, other = self.stack, f"{part}-2"
        stack.parts[part].freeze()
        time.sleep(seconds)
        stack.start(other)
        os.kill(stack.pid(part), signal.SIGCONT)
        stack.ready(part)
        self.over(f"{part}, a zombie that woke up")
        stack.kill(other)


def silent(stack: Stack) -> list[tuple[object, ...]]:
    """What was concluded from silence, of which there was none."""
    return stack.rows("SELECT run, rule, summary FROM train_diagnoses FINAL WHERE rule = 'silent-rank'")


async def _send(kafka: str, *records: tuple[bytes, int]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, enable_idempotence=False, max_request_size=2**27)
    await producer.start()
    try:
        for value, partition in records:
            await producer.send_and_wait(topics.OTLP_LOGS, value, partition=partition)
    finally:
        await producer.stop()


def _steps(run: str) -> list[bytes]:
    rank = Rank(run)
    return [rank.step(step, 99.0 if step % BAD_EVERY == BAD_EVERY - 1 else 1.0) for step in range(STEPS)]


def test_what_is_acknowledged_is_stored_once_and_diagnosed_once(tmp_path: Path) -> None:
    """Parts killed and stopped, links cut, silent and reset; poison, repeated and reordered records."""
    with running_stack(tmp_path) as stack:
        trainer = stack.train("tour")
        tour = Tour(stack, "tour")
        tour.over("the start")

        with stack.before["clickhouse"].broken(CUT):
            tour.killed("gateway")
        tour.over("a killed gateway, with ClickHouse cut off")

        tour.broken("broker", BLACKHOLE, PRODUCE_S + 1, "gateway")
        tour.over("a gateway whose way to the broker was silent")

        poison = hostile.records()
        asyncio.run(_send(stack.kafka, *((bad, part) for bad in poison.values() for part in (0, 1))))
        asyncio.run(_send(stack.kafka, *((one, 1) for one in hostile.shuffled(_steps("shuffled")))))
        tour.broken("broker", Fault(reset_after=20_000), 2.0)
        assert stack.before["broker"].resets
        tour.over(
            f"{len(poison)} poisonous records and {stack.before['broker'].resets} resets in mid-message"
        )

        for ahead_s in (HOUR_S, -HOUR_S, 0):
            stack.clock.set(ahead_s)
            time.sleep(2 * BEACON_S)
            tour.over(f"clocks that jumped to {ahead_s:+} s")
        assert silent(stack) == []

        tour.zombie("history", 0.0)
        steps = trainer.finish()
        assert silent(stack) == []
        check_ledger(stack, "tour", steps)
        check_ledger(stack, "shuffled", STEPS)
        print(f"{steps} steps; scale: the session of 6 s in place of a minute")


NIGHTLY: list[tuple[str, Callable[[Tour], None]]] = [
    *((f"{part} killed", lambda tour, part=part: tour.killed(part)) for part in (
        "gateway", "history", "loop", "clickhouse")),
    *((f"{part} stopped", lambda tour, part=part: tour.zombie(part, 60.0)) for part in ("history", "loop")),
    *((f"{part}-broker {name}", lambda tour, part=part, fault=fault: tour.broken("broker", fault, 60.0, part))
      for part in ("gateway", "history", "loop")
      for name, fault in (("cut", CUT), ("silent", BLACKHOLE), ("slow", Fault(delay_s=0.3)),
                          ("reset", Fault(reset_after=20_000)))),
    *((f"{link} {name}", lambda tour, link=link, fault=fault: tour.broken(link, fault, 60.0))
      for link in ("gateway", "clickhouse")
      for name, fault in (("cut", CUT), ("silent", BLACKHOLE), ("slow", Fault(bytes_per_s=50_000)),
                          ("reset", Fault(reset_after=5_000)))),
]  # fmt: skip


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_each_fault_alone_for_a_minute(tmp_path: Path) -> None:
    """As above; the fault is over before the next one begins."""
    with ExitStack() as everything:
        stack = everything.enter_context(running_stack(tmp_path))
        trainer = stack.train("tour")
        tour = Tour(stack, "tour")
        tour.over("the start")
        for name, fault in NIGHTLY:
            fault(tour)
            tour.over(name)
        check_ledger(stack, "tour", trainer.finish())
