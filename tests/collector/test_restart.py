"""The Collector's queue on disk: what it accepted survives its end, whichever way it ends."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import defaultdict
from pathlib import Path

import pytest

import emitter
from emitter import _api
from emitter.vocabulary import attributes as names
from emitter.vocabulary import topics
from stream.topics import apply
from tests.collector import found
from tests.collector.otelcol import FOLDER, Collector, running, to_kafka
from tests.collector.telling import Tap
from tests.emitter.receiver import attributes
from tests.fixtures import free_port, read_topic, start_broker, wait_for

pytestmark = [pytest.mark.collector, pytest.mark.slow]

STEPS = 800


def _until(collector: Collector, step: int) -> None:
    """The Collector's fate while the steps are made: killed and stopped, each time with Kafka away."""
    if step == 200:
        collector.kill()
    elif step == 600:
        collector.stop()
    elif step in (400, 700):
        collector.start()


def test_nothing_is_lost_by_restarts_of_the_collector(tmp_path: Path, tap: Tap) -> None:
    """Steps at about 100/s while Kafka is away and the Collector is killed, stopped, and killed while it
    delivers: each step is on the topic, and what is there twice is the same record with the same number."""
    run, port = uuid.uuid4().hex, free_port()
    queue = {"extensions": {"file_storage": {"directory": str(tmp_path / "queue")}}}
    collector = to_kafka(tmp_path, f"127.0.0.1:{port}", FOLDER / "persistent-queue.yaml", queue)
    with running(collector):
        emitter.init(
            run, run_id=run, endpoint=f"http://127.0.0.1:{collector.http}", resources=False, logs=False,
            hooks=False, spool="off", shutdown_s=60,
        )  # fmt: skip
        assert _api._session is not None
        waiting = _api._session.queue
        for step in range(STEPS):
            _until(collector, step)
            emitter.step(step, loss=1.0 / (step + 1))
            time.sleep(0.01)
        wait_for(lambda: not waiting.items, 60, "the emitter's queue to empty")
        emitter.shutdown()
        collector.kill()  # all that was said is now in its files, and nowhere else
        assert waiting.totals == {}

        child, bootstrap = start_broker(tmp_path / "broker.log", port)
        try:
            asyncio.run(apply(bootstrap)).check()
            collector.start()
            read_topic(bootstrap, topics.OTLP_LOGS, len, lambda one: run.encode() in one.value)
            collector.kill()
            collector.start()
            bodies: list[bytes] = []

            def complete(messages: list[object]) -> bool:
                bodies[:] = [message.value for message in messages]  # type: ignore[attr-defined]
                return len(_by_number(bodies, run)) >= len(_by_number(tap.logs, run))

            read_topic(bootstrap, topics.OTLP_LOGS, complete, lambda one: run.encode() in one.value, 60)
        finally:
            child.kill()

    sent, arrived = _by_number(tap.logs, run), _by_number(bodies, run)
    steps = [attributes(record) for _, record in found.logs(tap.logs) if record.event_name == "train.step"]
    assert {values[names.STEP] for values in steps} == set(range(STEPS))
    assert sorted(sent) == sorted(arrived) == list(range(len(sent)))
    assert {number: set(copies) for number, copies in arrived.items()} == {
        number: set(copies) for number, copies in sent.items()
    }
    twice = sum(map(len, arrived.values())) - len(arrived)
    print(f"{len(arrived)} records, {twice} copies more in Kafka")


def _by_number(bodies: list[bytes], run: str) -> dict[int, list[found.Flat]]:
    """All copies of each record of the run, by its sequence number."""
    copies = defaultdict(list)
    for flat, record in found.logs(bodies, run):
        copies[attributes(record)[names.SEQ]].append(flat)
    return dict(copies)
