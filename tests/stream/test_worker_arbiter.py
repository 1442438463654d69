"""One arbiter among real workers: a breaker that trips once, and deaths between deciding and recording."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from emitter.vocabulary import cloudevents, commands, diagnoses, topics
from emitter.vocabulary.diagnoses import Diagnosis
from stream import topics as administration
from tests.fixtures import Child, own_broker, wait_for
from tests.stream.loop_rig import LOOP_TOPICS, Ends, Worker, ack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

MANY, ALLOWED = 50, 10
START_S = 150.0
"""Several workers start at once, maybe on a machine that is busy."""


def firing(run: str, number: int = 0) -> bytes:
    """A diagnosis of the rig's rule, as diagnose writes it."""
    now = cloudevents.rfc3339(time.time_ns())
    return Diagnosis(
        f"{run}-{number}", "gradient-explosion", "grad_explosion", diagnoses.WARNING, diagnoses.FIRING, run,
        now, "norm 99", step=5,
    ).encode()  # fmt: skip


def ledger(ends: Ends) -> list[dict[str, Any]]:
    """All decisions, each once, in the order of the log."""
    found: dict[str, dict[str, Any]] = {}
    for message in ends.collected[topics.REMEDIATION_INTENTS]:
        event = json.loads(message.value)
        if event["type"] == cloudevents.INTENT:
            # The same decision is the same bytes, whoever wrote it down.
            assert found.setdefault(event["id"], event["data"]) == event["data"]
    return list(found.values())


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.nightly)])
def test_a_rule_that_fires_on_fifty_runs_trips_the_breaker_once(tmp_path: Path, count: int) -> None:
    """After ten runs, on several workers (test_breaker has one); said once, and nothing more is sent."""
    print(f"scale: {MANY} runs, {count} workers")
    with own_broker(tmp_path) as kafka, _workers(kafka, tmp_path, count):
        asyncio.run(_fire_on_many(kafka))


@contextmanager
def _workers(kafka: str, folder: Path, count: int) -> Iterator[None]:
    """So many workers, each with a share of the partitions."""
    asyncio.run(administration.apply(kafka, max(2, count))).check()
    workers = [Worker(kafka, folder, name=f"worker-{n}") for n in range(count)]
    try:
        for worker in workers:
            worker.wait_ready(START_S)
        wait_for(lambda: all(_share(worker) for worker in workers), 120, "each worker to have a share")
        yield
    finally:
        for worker in workers:
            worker.child.kill()


async def _fire_on_many(kafka: str) -> None:
    async with Ends(kafka, *LOOP_TOPICS) as ends:
        runs = [f"run-{uuid.uuid4().hex[:8]}" for _ in range(MANY)]
        await asyncio.gather(*(ends.send(topics.TRAIN_DIAGNOSES, firing(run), run) for run in runs))

        def decided() -> list[dict[str, Any]]:
            made = [one for one in ledger(ends) if one["decision"] in ("sent", "suppressed")]
            return made if len({one["run"] for one in made}) == MANY else []

        made = await ends.wait(decided, "a decision about each run", 120)
        assert len({one["run"] for one in made if one["decision"] == "sent"}) == ALLOWED
        tripped = [one for one in ledger(ends) if one["decision"] == "breaker_tripped"]
        assert [one["rule"] for one in tripped] == ["gradient-explosion"]
        sent = [commands.decode_command(m.value) for m in ends.collected[topics.REMEDIATION_COMMANDS]]
        assert len({command.run for command in sent}) == ALLOWED


def _share(worker: Worker) -> bool:
    return bool(worker.partitions().get(topics.TRAIN_DIAGNOSES))


@pytest.mark.parametrize("deaths", [(1, 3), pytest.param((0, 1, 2, 3), marks=pytest.mark.nightly)])
def test_a_worker_killed_again_and_again_sends_each_command_once(
    tmp_path: Path, deaths: tuple[int, ...]
) -> None:
    """kill -9 at one step after the other from diagnosis to rollback; executors know a command's id."""
    print(f"scale: {len(deaths)} deaths of 4")
    runs = [f"run-{number}" for number in deaths]
    executed: dict[str, str] = {}
    answered = 0

    async def obey(ends: Ends) -> None:
        """Every command is done once by its id, and acknowledged again whenever it comes again."""
        nonlocal answered
        messages = ends.collected[topics.REMEDIATION_COMMANDS]
        while answered < len(messages):
            command = commands.decode_command(messages[answered].value)
            answered += 1
            what = f"{command.run} {command.action}"
            assert executed.setdefault(command.id, what) == what
            await ends.send(topics.REMEDIATION_ACKS, ack(command.to_json(), commands.SUCCEEDED), command.run)

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        worker = Worker(kafka, tmp_path, name="life-0")
        try:
            await loop.run_in_executor(None, worker.wait_ready)
            async with Ends(kafka, *LOOP_TOPICS) as ends:
                for life, run in enumerate(runs):
                    await ends.send(topics.TRAIN_DIAGNOSES, firing(run), run)
                    deadline = time.monotonic() + 60
                    while not _time_to_die(ends, run, deaths[life]):
                        assert time.monotonic() < deadline
                        await obey(ends)
                        await asyncio.sleep(0.005)
                    worker.child.kill()
                    await obey(ends)
                    worker = Worker(kafka, tmp_path, name=f"life-{life + 1}")
                    await loop.run_in_executor(None, worker.wait_ready)
                deadline = time.monotonic() + 90
                while len(executed) < 2 * len(runs) or not _all_succeeded(ends, runs):
                    assert time.monotonic() < deadline, (executed, ledger(ends))
                    await obey(ends)
                    await asyncio.sleep(0.05)
                expected = sorted(f"{run} {action}" for run in runs for action in ("save", "rollback"))
                assert sorted(executed.values()) == expected
                assert ends.collected[topics.TRAIN_DEADLETTERS] == []
        finally:
            worker.child.kill()

    with own_broker(tmp_path) as kafka:
        asyncio.run(administration.apply(kafka, 2)).check()
        asyncio.run(scenario())


def test_a_wrong_policy_file_stops_the_worker_before_it_begins(tmp_path: Path) -> None:
    """Every mistake with its place; exit code 3."""
    policy = tmp_path / "policy.yaml"
    policy.write_text("mode: maybe\nbreaker: {rnus: 3}\n")
    argv = [sys.executable, "-m", "stream.cli", "worker", "--kafka", "127.0.0.1:9", "--policy", str(policy)]
    child = Child(argv, tmp_path / "worker.log")
    assert child.process.wait(60) == 3
    said = child.log()
    assert f'{policy}:1:7: expected `mode` to be one of act, approve, shadow, got "maybe"' in said
    assert f'{policy}:2:11: the breaker has no `rnus`; did you mean "runs"?' in said
    assert "Traceback" not in said


def _time_to_die(ends: Ends, run: str, step: int) -> bool:
    """At once; when the run is first written of; with its first command; with its second."""
    commanded = len(ends.data(topics.REMEDIATION_COMMANDS, run))
    return (True, bool(ends.data(topics.REMEDIATION_INTENTS, run)), commanded > 0, commanded > 1)[step]


def _all_succeeded(ends: Ends, runs: list[str]) -> bool:
    done = [(one["run"], one["action"]) for one in ledger(ends) if one["decision"] == "succeeded"]
    return set(done) == {(run, action) for run in runs for action in ("save", "rollback")}
