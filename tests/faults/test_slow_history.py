"""A ClickHouse that is slow, stands still, or is gone: nothing is lost, and nobody else waits for it."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from emitter.vocabulary import topics
from tests.faults.proxy import Fault
from tests.faults.rig import WAIT_S, Stack, running_stack
from tests.fixtures import wait_for
from tests.stream.loop_rig import Ends, Rank

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

SLOW = Fault(delay_s=0.5)
"""Half a second there and half a second back, for each insert and each question."""
STEPS = 20
BEHIND_S = 240.0
"""On a machine that is slow itself."""


def test_nothing_else_slows_down_while_clickhouse_is_slow_still_or_gone(tmp_path: Path) -> None:
    """A diagnosis comes out while history is behind; then history has each step once."""
    with running_stack(tmp_path) as stack:
        asyncio.run(_play(stack))
        stack.start("clickhouse")
        stack.before["clickhouse"].set(Fault())
        runs = ("slow", "still", "gone")
        wait_for(
            lambda: all(stack.stored(run) == STEPS for run in runs), BEHIND_S, "all steps in the history"
        )
        for run in runs:
            query = "SELECT count() FROM train_steps WHERE run = {run:String} AND name = 'loss'"
            assert stack.rows(query, run=run) == [(STEPS,)]


async def _play(stack: Stack) -> None:
    async with Ends(stack.kafka, topics.TRAIN_DIAGNOSES) as ends:
        stack.before["clickhouse"].set(SLOW)
        await _diagnosed(ends, "slow")
        clickhouse = stack.parts["clickhouse"]
        clickhouse.freeze()
        await _diagnosed(ends, "still")
        clickhouse.process.send_signal(signal.SIGCONT)
        stack.kill("clickhouse")
        await _diagnosed(ends, "gone")
        status, report = await asyncio.to_thread(stack.workers["loop"].get, "/readyz")
        assert status == 200, report


async def _diagnosed(ends: Ends, run: str) -> None:
    """Steps, the last of them with a gradient that explodes, and the diagnosis of it."""
    rank = Rank(run)
    for step in range(STEPS):
        await ends.send(topics.OTLP_LOGS, rank.step(step, 99.0 if step == STEPS - 1 else 1.0), partition=0)
    await ends.wait(lambda: ends.data(topics.TRAIN_DIAGNOSES, run), f"the diagnosis of {run}", WAIT_S)
