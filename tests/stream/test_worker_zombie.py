"""A loop worker that stands still for longer than its session, is replaced, and wakes up."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from emitter.vocabulary import cloudevents, commands, topics
from stream import topics as administration
from tests.fixtures import own_broker
from tests.stream.loop_rig import LOOP_TOPICS, Ends, Rank, Worker, ack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

GONE_S = 120.0
"""Nobody needs so long to notice that a worker is gone."""
BAD, GOOD = 5, 8
"""Steps: the gradient explodes, all is well again."""


class Ranks:
    """Trainers of some runs that obey: each command once by its id, acknowledged whenever it comes."""

    def __init__(self, ends: Ends) -> None:
        self._ends, self._answered = ends, 0
        self.did: dict[str, tuple[str, str]] = {}
        """Run and action of each command, by its id."""

    async def train(self, ranks: Sequence[Rank], steps: Sequence[int]) -> None:
        for step in steps:
            for rank in ranks:
                record = rank.step(step, 99.0 if step == BAD else 1.0)
                await self._ends.send(topics.OTLP_LOGS, record, rank.emitter)

    async def obey(self) -> None:
        """As long as the test goes on."""
        messages = self._ends.collected[topics.REMEDIATION_COMMANDS]
        while True:
            while self._answered < len(messages):
                command = commands.decode_command(messages[self._answered].value)
                self._answered += 1
                what = (command.run, command.action)
                assert self.did.setdefault(command.id, what) == what
                done = ack(command.to_json(), commands.SUCCEEDED)
                await self._ends.send(topics.REMEDIATION_ACKS, done, command.run)
            await asyncio.sleep(0.005)

    async def until_done(self, ranks: Sequence[Rank]) -> None:
        """Until each run has been saved and rolled back."""
        wanted = {(rank.run, action) for rank in ranks for action in ("save", "rollback")}
        await self._ends.wait(
            lambda: wanted <= set(self.did.values()), f"{len(wanted)} commands, got {self.did}", GONE_S
        )

    async def until_over(self, ranks: Sequence[Rank]) -> None:
        """Until it was said of each run that all is well again."""
        await self._ends.wait(
            lambda: all(len(said(self._ends, rank.run)) == 2 for rank in ranks), "both transitions", GONE_S
        )


def said(ends: Ends, run: str) -> set[tuple[str, str]]:
    """What was published about a run's gradient: state and id."""
    found = ends.data(topics.TRAIN_DIAGNOSES, run)
    return {(d["state"], d["id"]) for d in found if d["rule"] == "gradient-explosion"}


def decided(ends: Ends) -> Counter[tuple[str, str]]:
    """How many different decisions to send there are about a run and an action."""
    found: dict[str, dict[str, str]] = {}
    for message in ends.collected[topics.REMEDIATION_INTENTS]:
        event = json.loads(message.value)
        if event["type"] == cloudevents.INTENT:
            # The same decision is the same bytes, whoever wrote it down.
            assert found.setdefault(event["id"], event["data"]) == event["data"]
    sent = (one for one in found.values() if one["decision"] == "sent")
    return Counter((one["run"], one["action"]) for one in sent)


@pytest.mark.nightly
@pytest.mark.parametrize("among", [topics.TRAIN_DIAGNOSES, topics.REMEDIATION_COMMANDS])
def test_a_zombie_doubles_nothing(tmp_path: Path, among: str) -> None:
    """SIGSTOP as its first record of a kind is out, an heir that goes on, SIGCONT, and the heir's death."""
    mark, workers = uuid.uuid4().hex[:6], list[Worker]()
    early, later, both, last = (
        [Rank(f"run-{mark}-{name}{number}") for number in range(count)]
        for name, count in (("early", 4), ("later", 2), ("both", 1), ("last", 1))
    )
    everybody = [*early, *later, *both, *last]

    async def begin(kafka: str) -> Worker:
        worker = Worker(kafka, tmp_path, name=f"worker-{len(workers)}")
        workers.append(worker)
        await asyncio.to_thread(worker.wait_ready)
        return worker

    async def scenario(kafka: str) -> None:
        zombie = await begin(kafka)
        async with Ends(kafka, *LOOP_TOPICS) as ends:
            ranks = Ranks(ends)
            await ranks.train(early, range(BAD + 1))
            await ends.wait(lambda: ends.collected[among], f"a first record of {among}")
            zombie.child.freeze()
            stopped = time.monotonic()
            obeying = asyncio.ensure_future(ranks.obey())
            heir = await begin(kafka)
            await ranks.train(early, range(BAD + 1, GOOD))
            await ranks.train(later, range(GOOD))
            await ranks.until_done([*early, *later])
            await ranks.until_over([*early, *later])
            print(f"scale: {len(everybody)} runs; stopped for {time.monotonic() - stopped:.1f} s")
            os.kill(zombie.child.pid, signal.SIGCONT)
            await ranks.train(both, range(GOOD))
            await ranks.until_over(both)
            await ranks.until_done(both)
            await ends.wait(lambda: _holds(zombie), "partitions for the one that woke up", GONE_S)
            heir.child.kill()
            await ranks.train(last, range(GOOD))
            await ranks.until_over(last)
            await ranks.until_done(last)
            expected = {(rank.run, action): 1 for rank in everybody for action in ("save", "rollback")}
            assert Counter(ranks.did.values()) == expected
            assert decided(ends) == expected
            assert {len(said(ends, rank.run)) for rank in everybody} == {2}
            assert ends.collected[topics.TRAIN_DEADLETTERS] == []
            assert not obeying.done()
            obeying.cancel()
            await asyncio.gather(obeying, return_exceptions=True)

    with own_broker(tmp_path) as kafka:
        asyncio.run(administration.apply(kafka, 2)).check()
        try:
            asyncio.run(scenario(kafka))
        finally:
            for worker in workers:
                worker.child.kill()


def _holds(worker: Worker) -> bool:
    return bool(worker.partitions().get(topics.TRAIN_EVENTS))
