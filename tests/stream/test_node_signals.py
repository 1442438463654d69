"""What a node says of itself, without a run id, becomes part of the incidents of the runs on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from emitter.vocabulary import attributes, topics
from emitter.vocabulary import events as vocabulary
from stream import placements
from stream import topics as administration
from stream.faustkit.outlet import partition_of
from tests.fixtures import own_broker, wait_for
from tests.stream.loop_rig import LOOP_TOPICS, Ends, Worker
from tests.stream.sink.build import logs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

PARTITIONS = 2
RULES = """
pack: node
rules:
  - id: xid
    category: xid
    summary: "{node}: {text}"
    on: train.log
    match: ['NVRM: Xid']
    severity: critical
    cooldown: 10m
    then:
      - save: {}
  - id: cuda
    category: cuda_error
    summary: "rank {rank}: {text}"
    on: train.log
    match: ['CUDA error']
    severity: warning
    cooldown: 10m
    then:
      - notify: {}
"""
LINE = "NVRM: Xid (PCI:0000:1b:00): 79, GPU has fallen off the bus"


def _run_on(partition: int, name: str) -> str:
    numbers = (f"{name}-{number}" for number in range(99))
    return next(run for run in numbers if partition_of(run.encode(), PARTITIONS) == partition)


def _of_run(run: str, host: str, *events: dict[str, Any]) -> bytes:
    resource = {attributes.RUN_ID: run, attributes.RANK: 0, attributes.HOST_NAME: host, attributes.ATTEMPT: 0}
    return logs(*({"time": time.time_ns(), **event} for event in events), resource=resource)


@contextmanager
def _two_workers(kafka: str, folder: Path) -> Iterator[None]:
    """Each with one partition of two."""
    asyncio.run(administration.apply(kafka, PARTITIONS)).check()
    (folder / "rules").mkdir()
    (folder / "rules" / "node.yaml").write_text(RULES)
    workers = [Worker(kafka, folder, name=f"worker-{number}") for number in range(2)]
    try:
        for worker in workers:
            worker.wait_ready()
        shares = [{topics.OTLP_LOGS: [0]}, {topics.OTLP_LOGS: [1]}]
        wait_for(
            lambda: sorted(
                ({topics.OTLP_LOGS: worker.partitions().get(topics.OTLP_LOGS, [])} for worker in workers),
                key=str,
            ) == shares,
            120, "each worker to have a partition",
        )  # fmt: skip
        yield
    finally:
        for worker in workers:
            worker.child.kill()


def _incidents(ends: Ends, run: str) -> list[dict[str, Any]]:
    """The newest form of each incident of a run."""
    newest: dict[str, dict[str, Any]] = {}
    for data in ends.data(topics.REMEDIATION_INTENTS, run):
        if "cause" in data:
            newest[data["id"]] = data
    return list(newest.values())


def _rules_of(incident: dict[str, Any]) -> list[str]:
    return [incident["cause"]["rule"], *(symptom["rule"] for symptom in incident["symptoms"])]


def _has_cause(ends: Ends, run: str) -> bool:
    return any(set(_rules_of(one)) == {"xid", "cuda"} for one in _incidents(ends, run))


async def _scenario(kafka: str) -> None:
    here, there = [_run_on(number, "run") for number in range(PARTITIONS)], _run_on(0, "elsewhere")
    homes = {**dict.fromkeys(here, "node-a"), there: "node-b"}
    async with Ends(kafka, *LOOP_TOPICS, topics.TRAIN_PLACEMENTS) as ends:
        started = {
            "event": vocabulary.LIFECYCLE,
            "attributes": {vocabulary.LIFECYCLE_STATE: vocabulary.STARTED},
        }
        for run, host in homes.items():
            await ends.send(topics.OTLP_LOGS, _of_run(run, host, started), run)

        def placed() -> dict[str, set[str]]:
            found = (placements.decode(one.key, one.value) for one in ends.collected[topics.TRAIN_PLACEMENTS])
            hosts = {host: set(runs) for host, runs in found}
            return hosts if hosts == {"node-a": set(here), "node-b": {there}} else {}

        await ends.wait(placed, "the placements", 120)
        error = {"event": vocabulary.LOG, "body": "CUDA error: device-side"}
        for run, host in homes.items():
            await ends.send(topics.OTLP_LOGS, _of_run(run, host, error), run)
        await ends.wait(lambda: all(_incidents(ends, run) for run in here), "an incident of each run", 120)
        # Workers read placements beside their work: the node repeats itself until both have. The runs repeat
        # themselves too, or their incidents might be over by then.
        node = {attributes.HOST_NAME: "node-a"}
        for _ in range(120):
            line = {"event": vocabulary.LOG, "time": time.time_ns(), "body": LINE}
            await ends.send(topics.OTLP_LOGS, logs(line, resource=node), partition=0)
            for run in here:
                await ends.send(topics.OTLP_LOGS, _of_run(run, homes[run], error), run)
            if all(_has_cause(ends, run) and ends.data(topics.REMEDIATION_COMMANDS, run) for run in here):
                break
            await asyncio.sleep(1)
        for run in here:
            (incident,) = _incidents(ends, run)
            assert _rules_of(incident)[:2] == ["xid", "cuda"]
            assert set(_rules_of(incident)) == {"xid", "cuda"}
            assert (incident["cause"]["node"], incident["cause"]["rank"]) == ("node-a", None)
            assert LINE in incident["cause"]["summary"]
            (save,) = ends.data(topics.REMEDIATION_COMMANDS, run)
            assert (save["action"], save["reason"]["rule"]) == ("save", "xid")
        assert [_rules_of(one) for one in _incidents(ends, there)] == [["cuda"]]
        assert ends.collected[topics.TRAIN_DEADLETTERS] == []
        assert {one.key for one in ends.collected[topics.REMEDIATION_COMMANDS]} == {
            run.encode() for run in here
        }


def test_a_node_s_signal_is_the_cause_in_each_run_on_the_node(tmp_path: Path) -> None:
    """Two workers, a run on the partition of each: both get it from one partition; one elsewhere does not."""
    with own_broker(tmp_path) as kafka, _two_workers(kafka, tmp_path):
        asyncio.run(_scenario(kafka))
