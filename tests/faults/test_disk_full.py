"""A full disk: under the endpoint's data and under an emitter's spool."""

from __future__ import annotations

import asyncio
import os
import sys
from functools import partial
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from emitter.vocabulary import topics as vocabulary
from stream import history, topics
from stream.history.migrate import migrate
from tests.emitter.receiver import Receiver, attributes
from tests.faults import small_disk
from tests.faults.rig import Trainer
from tests.faults.small_disk import Disk, on_small_disk
from tests.fixtures import Child, free_port, wait_for
from tests.fixtures_clickhouse import answers_ping
from tests.stream.loop_rig import Rank

MISSING = small_disk.unavailable()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(420),
    # In CI what cannot run fails.
    pytest.mark.skipif(MISSING is not None and "CI" not in os.environ, reason=str(MISSING)),
]

STEPS = 100
WAIT_S = 120.0


def test_history_waits_for_space_and_stores_everything_once(bare: str, tmp_path: Path) -> None:
    """ENOSPC at the endpoint: the sink says so, acknowledges nothing, and goes on when there is space."""
    asyncio.run(topics.apply(bare)).check()
    data, port = tmp_path / "data", free_port()
    url = f"http://127.0.0.1:{port}"
    part = [sys.executable, "-m", "stream.cli"]
    endpoint = Child(
        on_small_disk(data, "128m", [*part, "clickhouse", "--data-dir", str(data), "--port", str(port)]),
        tmp_path / "clickhouse.log",
    )
    worker = None
    try:
        endpoint.wait_until(lambda: answers_ping(url), "the endpoint to answer", WAIT_S)
        migrate(url)
        worker = Child(
            [*part, "worker", "--app", "history", "--kafka", bare, "--clickhouse", url, "--health-port",
             str(free_port()), "--data-dir", str(tmp_path / "worker")],
            tmp_path / "history.log",
        )  # fmt: skip
        asyncio.run(_send(bare, "before"))
        worker.wait_until(lambda: _stored(url, "before") == STEPS, "the run before", WAIT_S)

        disk = Disk(endpoint.pid, data)
        disk.fill()
        asyncio.run(_send(bare, "while"))
        worker.wait_until(lambda: "history is behind, nothing is lost" in worker.log(), "a word", WAIT_S)
        said = next(line for line in worker.log().splitlines() if "history is behind" in line)
        assert "No space left on device" in said, said
        assert _stored(url, "before") == STEPS
        disk.free()
        asyncio.run(_send(bare, "after"))
        for run in ("while", "after"):
            worker.wait_until(partial(_all_stored, url, run), f"the run {run}", WAIT_S)
        assert [_counted(url, run) for run in ("before", "while", "after")] == [(STEPS, STEPS)] * 3
    finally:
        endpoint.kill()
        if worker is not None:
            worker.kill()


async def _send(kafka: str, run: str) -> None:
    rank = Rank(run)
    producer = AIOKafkaProducer(bootstrap_servers=kafka, enable_idempotence=False)
    await producer.start()
    for step in range(STEPS):
        await producer.send_and_wait(vocabulary.OTLP_LOGS, rank.step(step, 1.0), partition=0)
    await producer.stop()


def _counted(url: str, run: str) -> tuple[int, int]:
    with history.connect(url) as client:
        query = "SELECT count(), uniqExact(seq) FROM train_steps WHERE run = {run:String} AND name = 'loss'"
        row = client.query(query, parameters={"run": run}).result_rows[0]
    return int(row[0]), int(row[1])


def _stored(url: str, run: str) -> int:
    return _counted(url, run)[1]


def _all_stored(url: str, run: str) -> bool:
    return _stored(url, run) >= STEPS


def test_an_emitter_without_space_trains_on_and_delivers_what_it_holds(tmp_path: Path) -> None:
    """ENOSPC at the spool: one warning that names it; with space and a line again everything arrives."""
    spool, port = tmp_path / "spool", free_port()
    trainer = Trainer(
        tmp_path, "full", f"http://127.0.0.1:{port}", 0.01, disk=(spool, "256k"), TRAINWARDEN_SPOOL=str(spool)
    )
    try:
        trainer.child.wait_until(lambda: "training" in trainer.child.log(), "the trainer to begin", WAIT_S)
        disk = Disk(trainer.child.pid, spool)
        disk.fill()
        warning = "cannot keep undelivered telemetry on disk ([Errno 28] No space left on device"
        trainer.child.wait_until(lambda: warning in trainer.child.log(), "a word about the disk", WAIT_S)
        assert trainer.child.log().count("cannot keep undelivered") == 1
        disk.free()
        with Receiver(port=port) as receiver:
            wait_for(lambda: receiver.records("train.step"), WAIT_S, "the line to be back")
            steps = trainer.finish()
            found = [attributes(record)["train.step"] for record in receiver.records("train.step")]
        assert sorted(set(found)) == list(range(steps))
    finally:
        trainer.child.kill()
    print(f"{steps} steps, {len(found) - steps} sent twice")
