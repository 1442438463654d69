"""Loop workers that come, go, are killed, or cannot start; each test on a broker of its own."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from pathlib import Path

import pytest

from emitter.vocabulary import commands, topics
from stream import topics as administration
from stream.faustkit.outlet import partition_of
from tests.fixtures import start_broker, wait_for
from tests.stream.loop_rig import LOOP_TOPICS, Ends, Rank, Worker, ack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]


@pytest.fixture
def own(bare: str) -> str:
    """A broker with all topics, two partitions each."""
    asyncio.run(administration.apply(bare, 2)).check()
    return bare


def run_on(partition: int) -> str:
    """A run id that falls on this partition of two."""
    return next(run for run in (f"run-{n}" for n in range(99)) if partition_of(run.encode(), 2) == partition)


async def explode(ends: Ends, rank: Rank, start: int = 0) -> None:
    """Good steps, then a bad one."""
    for step in range(start, start + 5):
        await ends.send(topics.OTLP_LOGS, rank.step(step, grad_norm=1.0), rank.emitter)
    await ends.send(topics.OTLP_LOGS, rank.step(start + 5, grad_norm=99.0), rank.emitter)


def test_approve_holds_the_rollback_on_intents(own: str, tmp_path: Path) -> None:
    """The save goes out and succeeds; the rollback is recorded as held and never sent."""
    worker = Worker(own, tmp_path, mode="approve")
    worker.wait_ready()

    async def scenario() -> None:
        async with Ends(own, *LOOP_TOPICS) as ends:
            await explode(ends, Rank("run-a"))
            save = (await ends.wait(lambda: ends.data(topics.REMEDIATION_COMMANDS, "run-a"), "the save"))[0]
            await ends.send(topics.REMEDIATION_ACKS, ack(save, commands.SUCCEEDED), "run-a")

            def held() -> list[dict[str, object]]:
                return [made for made in ends.decisions("run-a") if made["decision"] == "held"]

            intent = (await ends.wait(held, "the held intent"))[0]
            assert intent["action"] == "rollback"
            assert intent["command"]["action"] == "rollback"
            assert [c["action"] for c in ends.data(topics.REMEDIATION_COMMANDS, "run-a")] == ["save"]

    try:
        asyncio.run(scenario())
        assert worker.child.stop() == 0
    finally:
        worker.child.kill()


def test_one_run_is_one_worker_s_on_all_topics_and_the_other_takes_over(own: str, tmp_path: Path) -> None:
    """Two workers share the partitions topic by topic alike; after kill -9 of one, the other has them all.

    The run that moved is diagnosed again from new data; no command id is ever used for two decisions.
    """
    workers = [Worker(own, tmp_path, name=f"worker-{n}") for n in range(2)]
    try:
        for worker in workers:
            worker.wait_ready()
        wait_for(lambda: _shared(workers), 60, "both workers to hold one partition of each topic")
        asyncio.run(_two_workers(own, workers))
        assert workers[1].child.stop() == 0
    finally:
        for worker in workers:
            worker.child.kill()


def test_a_worker_starts_after_all_others_left_one_right_after_the_other(own: str, tmp_path: Path) -> None:
    """The embedded broker would keep a leader that left during a rebalance, and give nobody partitions."""
    workers = [Worker(own, tmp_path, name="worker-0")]
    try:
        workers[0].wait_ready()
        workers.append(Worker(own, tmp_path, name="worker-1"))
        wait_for(lambda: _shared(workers), 60, "both workers to hold one partition of each topic")
        for worker in reversed(workers):  # the leader last
            assert worker.child.stop() == 0
        workers.append(Worker(own, tmp_path, name="worker-2"))
        workers[2].wait_ready()
        wait_for(lambda: _all_on(workers[2]), 60, "the new worker to hold everything")
    finally:
        for worker in workers:
            worker.child.kill()


def _shared(workers: list[Worker]) -> bool:
    held = [_by_run(worker) for worker in workers]
    return all(len(topics) == 6 and all(len(p) == 1 for p in topics.values()) for topics in held)


def _by_run(worker: Worker) -> dict[str, list[int]]:
    """What it holds of the topics that are divided by runs; others have one partition."""
    single = (topics.REMEDIATION_INTENTS, topics.REMEDIATION_CONTROL)
    return {topic: held for topic, held in worker.partitions().items() if topic not in single}


async def _two_workers(own: str, workers: list[Worker]) -> None:
    for worker in workers:
        # Co-partitioned: all topics of one run are read by the same worker.
        assert len({tuple(numbers) for numbers in _by_run(worker).values()}) == 1
    first = workers[0].partitions()[topics.TRAIN_EVENTS][0]
    runs = [run_on(first), run_on(1 - first)]
    async with Ends(own, *LOOP_TOPICS) as ends:
        ranks = [Rank(run) for run in runs]
        for rank in ranks:
            await explode(ends, rank)
        for run in runs:
            await ends.wait(partial(ends.data, topics.REMEDIATION_COMMANDS, run), f"a command for {run}")
        workers[0].child.kill()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, wait_for, lambda: _all_on(workers[1]), 60, "the takeover")
        await explode(ends, ranks[0], start=6)

        def again() -> bool:
            return len({d["id"] for d in ends.data(topics.TRAIN_DIAGNOSES, runs[0])}) >= 2

        await ends.wait(again, "a diagnosis by the worker that took over")
        for run in runs:
            sent = ends.data(topics.REMEDIATION_COMMANDS, run)
            assert {c["id"]: c["reason"]["diagnosis"] for c in sent} == {
                c["id"]: c["reason"]["diagnosis"] for c in reversed(sent)
            }


def _all_on(worker: Worker) -> bool:
    return all(numbers == [0, 1] for numbers in _by_run(worker).values()) and len(worker.partitions()) == 8


def test_a_killed_worker_goes_on_without_a_second_decision(own: str, tmp_path: Path) -> None:
    """kill -9 right after the save; its successor repeats at most the same command ids."""
    first = Worker(own, tmp_path, name="first")
    second: Worker | None = None

    async def scenario() -> None:
        nonlocal second
        async with Ends(own, *LOOP_TOPICS) as ends:
            rank = Rank("run-k")
            await explode(ends, rank)
            save = (await ends.wait(lambda: ends.data(topics.REMEDIATION_COMMANDS, "run-k"), "the save"))[0]
            first.child.kill()
            second = Worker(own, tmp_path, name="second")
            await asyncio.get_running_loop().run_in_executor(None, second.wait_ready)
            done = Rank("run-other")
            await explode(ends, done)
            await ends.wait(
                lambda: ends.data(topics.REMEDIATION_COMMANDS, "run-other"), "the next run's command"
            )
            sent = ends.data(topics.REMEDIATION_COMMANDS, "run-k")
            assert {command["id"] for command in sent} == {save["id"]}
            fired = {d["id"] for d in ends.data(topics.TRAIN_DIAGNOSES, "run-k")}
            assert len(fired) == 1
            assert ends.collected[topics.TRAIN_DEADLETTERS] == []

    try:
        first.wait_ready()
        asyncio.run(scenario())
        assert second is not None
        assert second.child.stop() == 0
    finally:
        for worker in (first, second):
            if worker is not None:
                worker.child.kill()


def test_too_many_dead_letters_stop_the_worker(own: str, tmp_path: Path) -> None:
    """It ends with the reason and consumes no more, so that nothing is thrown away in bulk."""
    worker = Worker(own, tmp_path)

    async def scenario() -> int:
        async with Ends(own, topics.TRAIN_DEADLETTERS) as ends:
            for number in range(150):
                await ends.send(topics.OTLP_SPANS, b"\xff%d" % number, partition=0)
            await asyncio.get_running_loop().run_in_executor(None, worker.child.process.wait, 60)
            return len(ends.collected[topics.TRAIN_DEADLETTERS])

    try:
        worker.wait_ready()
        assert asyncio.run(scenario()) <= 100
        assert worker.child.process.returncode == 3
        assert "otlp_spans[0] offset 99: 100 records in a row could not be read" in worker.child.log()
        assert "Traceback" not in worker.child.log()
    finally:
        worker.child.kill()


def test_it_refuses_to_start_without_topics(bare: str, tmp_path: Path) -> None:
    """One line that names them and the cure; exit code 3."""
    worker = Worker(bare, tmp_path)
    try:
        assert worker.child.process.wait(60) == 3
        expected = "trainwarden: topics missing on the broker: otlp_logs, "
        assert expected in worker.child.log()
        assert "run `trainwarden topics apply`" in worker.child.log()
    finally:
        worker.child.kill()


def test_it_refuses_a_health_port_in_use(own: str, tmp_path: Path) -> None:
    """One line that names the port; exit code 3."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        worker = Worker(own, tmp_path, port=taken.getsockname()[1])
        try:
            assert worker.child.process.wait(60) == 3
            assert f"health port 127.0.0.1:{worker.port}: Address already in use" in worker.child.log()
        finally:
            worker.child.kill()


def test_it_ends_on_sigterm_when_the_broker_is_gone(tmp_path: Path) -> None:
    """Within its own limits, with exit code 0: nothing unfinished was committed."""
    child, bootstrap = start_broker(tmp_path / "broker.log")
    worker = None
    try:
        asyncio.run(administration.apply(bootstrap, 2)).check()
        worker = Worker(bootstrap, tmp_path)
        worker.wait_ready()
        child.kill()
        wait_for(lambda: worker.get("/healthz")[0] == 200, what="the worker to answer without a broker")
        assert worker.child.stop(timeout=30) == 0
    finally:
        child.kill()
        if worker is not None:
            worker.child.kill()
