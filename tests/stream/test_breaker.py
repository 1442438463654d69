"""A rule that fires on fifty runs at once: the breaker opens once, whatever the number of workers."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from emitter.signing.places import ENV_OPERATORS
from emitter.vocabulary import topics
from stream.keys import OPERATOR, KeyStore
from stream.topics import apply
from tests.fixtures import Child, own_broker, wait_for
from tests.stream.loop_rig import Ends, Rank, Worker
from tests.stream.notify.far_end import FarEnd, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

RUNS, ALLOWED = 50, 10
START_S = 150.0
POLICY = f"mode: act\nbreaker: {{runs: {ALLOWED}, within: 10m}}\n"
HOOKS = "hooks:\n  - {name: people, kind: json, url: 'URL', limit: 1000/1s}\n"


@contextmanager
def _site(folder: Path, workers: int) -> Iterator[tuple[str, FarEnd, KeyStore]]:
    """A broker, so many workers, and a web hook."""
    store = KeyStore(folder / "home")
    store.new("ada", OPERATOR)
    with ExitStack() as ends:
        people = ends.enter_context(serving())
        kafka = ends.enter_context(own_broker(folder))
        asyncio.run(apply(kafka, max(workers, 2))).check()
        (folder / "policy.yaml").write_text(POLICY)
        (folder / "hooks.yaml").write_text(HOOKS.replace("URL", people.url))
        options = ["--policy", str(folder / "policy.yaml"), "--notify", str(folder / "hooks.yaml")]
        env = {ENV_OPERATORS: str(store.files[OPERATOR])}
        # All at once: a third worker of four partitions is given none until a fourth one comes.
        started = [
            Worker(kafka, folder, name=f"worker-{number}", options=options, env=env)
            for number in range(workers)
        ]
        for worker in started:
            ends.callback(worker.child.kill)
        for worker in started:
            worker.wait_ready(START_S)
        yield kafka, people, store


def _reset(kafka: str, store: KeyStore, folder: Path) -> Child:
    argv = [sys.executable, "-m", "stream.cli", "commands", "reset-breaker", "--kafka", kafka, "--wait", "60"]
    return Child([*argv, "--key", str(store.newest(OPERATOR).path)], folder / "reset.log", dict(os.environ))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("workers", [1, pytest.param(4, marks=pytest.mark.nightly)])
def test_fifty_runs_at_once_open_the_breaker_once(tmp_path: Path, workers: int) -> None:
    """Ten are acted on, forty are not; it is said once, to people too; a person's word closes it."""
    mark = uuid.uuid4().hex[:6]

    async def scenario(kafka: str, people: FarEnd, store: KeyStore) -> None:
        names = [f"run-{mark}-{number}" for number in range(RUNS)]
        async with Ends(kafka, topics.REMEDIATION_COMMANDS, topics.REMEDIATION_INTENTS) as ends:

            def decisions() -> list[dict[str, Any]]:
                found = (json.loads(one.value)["data"] for one in ends.collected[topics.REMEDIATION_INTENTS])
                return [one for one in found if "decision" in one]

            async def fire(runs: list[str]) -> None:
                await asyncio.gather(
                    *(
                        ends.send(topics.OTLP_LOGS, (r := Rank(run)).step(1, grad_norm=50.0), r.emitter)
                        for run in runs
                    )
                )

            def judged() -> bool:
                seen = {d["run"] for d in decisions() if d["decision"] in ("sent", "suppressed")}
                return seen >= set(names)

            await fire(names)
            await ends.wait(judged, "a decision about each run", 120)
            counts = Counter(d["decision"] for d in decisions())
            acted = {one.key for one in ends.collected[topics.REMEDIATION_COMMANDS]}
            assert len(acted) == ALLOWED
            assert counts["breaker_tripped"] == 1
            assert len({d["run"] for d in decisions() if d["decision"] == "suppressed"}) == RUNS - ALLOWED
            reset = await asyncio.to_thread(_reset, kafka, store, tmp_path)
            await asyncio.to_thread(reset.process.wait, 120)
            assert reset.log() == "the circuit breaker is closed again\n"
            await fire([f"run-{mark}-after"])
            await ends.wait(lambda: f"run-{mark}-after".encode() in _keys(ends), "a command after the reset")
        wait_for(lambda: "breaker" in _told(people), 60, "the web hook")
        assert _told(people).count("breaker") == 1

    with _site(tmp_path, workers) as (kafka, people, store):
        asyncio.run(scenario(kafka, people, store))
    print(f"{RUNS} runs on {workers} worker(s), {ALLOWED} acted on")


def _keys(ends: Ends) -> set[bytes]:
    return {one.key for one in ends.collected[topics.REMEDIATION_COMMANDS]}


def _told(people: FarEnd) -> list[str]:
    return [request.json["event"] for request in list(people.requests)]
