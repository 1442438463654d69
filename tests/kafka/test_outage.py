"""A broker that stops and comes back under a running emitter, on Apache Kafka, which keeps what it has."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import Counter
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

import emitter
from emitter import _api
from emitter.vocabulary import topics as vocabulary
from stream import topics
from tests.emitter.receiver import attributes
from tests.fixtures import free_port, read_topic, wait_for
from tests.kafka.apache_kafka import ApacheKafka

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

STEPS = 800


def test_every_step_survives_an_outage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Steps at about 100/s through a stop and a start of the broker: each arrives, one warning."""
    run = uuid.uuid4().hex
    broker = ApacheKafka(tmp_path, free_port(), free_port())
    broker.format()
    broker.start()
    try:
        asyncio.run(topics.apply(broker.bootstrap)).check()
        emitter.init(
            run, run_id=run, endpoint=f"kafka://{broker.bootstrap}", resources=False, logs=False, hooks=False,
            export_timeout_s=3, shutdown_s=60,
        )  # fmt: skip
        assert _api._session is not None
        assert _api._session.exporter is not None
        queue = _api._session.queue
        for step in range(STEPS):
            emitter.step(step, loss=1.0)
            time.sleep(0.01)
            if step == 200:
                broker.stop()
            if step == 600:
                broker.start()
        wait_for(lambda: not queue.items, 60, "the queue to empty")
        emitter.shutdown()
        found: Counter[int] = Counter()
        read_topic(
            broker.bootstrap, vocabulary.OTLP_LOGS, lambda messages: len(_steps(messages, found)) >= STEPS,
            lambda one: run.encode() in one.value,
        )  # fmt: skip
    finally:
        broker.stop()

    assert sorted(found) == list(range(STEPS))
    print(f"{STEPS} steps, {sum(found.values()) - STEPS} of them twice in Kafka")
    assert queue.totals == {}
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert {record.name for record in warnings} <= {"emitter"}
    assert len(warnings) == 1


def _steps(messages: list[object], found: Counter[int]) -> Counter[int]:
    found.clear()
    for message in messages:
        for group in ExportLogsServiceRequest.FromString(message.value).resource_logs:  # type: ignore[attr-defined]
            for scope in group.scope_logs:
                found.update(
                    attributes(record)["train.step"]
                    for record in scope.log_records
                    if record.event_name == "train.step"
                )
    return found
