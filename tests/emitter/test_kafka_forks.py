"""Forks of a process that speaks to Kafka: children are inert or have their own line, nothing is printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import uuid
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from emitter.vocabulary import topics
from tests.emitter.receiver import attributes
from tests.fixtures import read_topic

SLOW = re.compile(r"Executing <.*> took [\d.]+ seconds")
STRICT = ("-X", "dev", "-W", "error", "-W", "ignore::DeprecationWarning")

TRAINER = """
    import multiprocessing, os, sys, threading, time
    import emitter
    assert not {"aiokafka", "asyncio"} & set(sys.modules)
    place, run = sys.argv[1:]
    emitter.init(run, run_id=run, endpoint=place, commands=place, resources=False)
    emitter.step(0, loss=1.0)
    time.sleep(0.5)
    def work(number):
        emitter.step(1000 + number, loss=1.0)
        return number
    for step in range(1, 5):
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map(work, range(4)) == [0, 1, 2, 3]
        emitter.step(step, loss=1.0)
    child = os.fork()
    if child == 0:
        assert threading.active_count() == 1
        sys.exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    child = os.fork()
    if child == 0:
        emitter.init(run, run_id=run, endpoint=place, resources=False)
        emitter.step(100, loss=1.0)
        emitter.shutdown()
        sys.exit(8)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 8
    emitter.step(5, loss=1.0)
    emitter.shutdown()
    assert [thread.name for thread in threading.enumerate()] == ["MainThread"]
"""

SDK = """
    import os, sys
    from opentelemetry._logs import LogRecord
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.resources import Resource
    from emitter.otlp_kafka import KafkaLogExporter
    place, run = sys.argv[1:]
    provider = LoggerProvider(Resource({"service.name": run}))
    provider.add_log_record_processor(BatchLogRecordProcessor(KafkaLogExporter(place)))
    def log(step):
        record = LogRecord(event_name="train.step", attributes={"train.step": step})
        provider.get_logger("test").emit(record)
    log(0)
    provider.force_flush()
    for code in (7, 8):
        child = os.fork()
        if child == 0:
            if code == 8:
                log(100)
            sys.exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code
    for step in range(1, 6):
        log(step)
"""


@pytest.mark.parametrize(
    ("script", "scheme"), [(TRAINER, "kafka://"), (SDK, "")], ids=["emitter", "stock SDK"]
)
def test_forks_are_harmless(broker: str, tmp_path: Path, script: str, scheme: str) -> None:
    """Workers and children of every kind end; parent and child deliver once each; stderr stays empty."""
    run = uuid.uuid4().hex
    environ = {**os.environ, "TRAINWARDEN_STRICT": "0", "PYTHONPATH": str(Path(__file__).parents[2])}
    ended = subprocess.run(
        [sys.executable, *STRICT, "-c", textwrap.dedent(script), scheme + broker, run],
        env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    steps: list[int] = []

    def enough(messages: list[object]) -> bool:
        steps[:] = [
            attributes(record)["train.step"]
            for message in messages
            for group in ExportLogsServiceRequest.FromString(message.value).resource_logs  # type: ignore[attr-defined]
            for scope in group.scope_logs
            for record in scope.log_records
            if record.event_name == "train.step"
        ]
        return len(steps) >= 7

    # asyncio's debug mode tells of callbacks that took long, as they do on a busy machine.
    told = [line for line in ended.stderr.splitlines() if not SLOW.fullmatch(line)]
    assert (ended.returncode, told) == (0, [])
    read_topic(broker, topics.OTLP_LOGS, enough, lambda record: run.encode() in record.value)
    assert sorted(steps) == [0, 1, 2, 3, 4, 5, 100]
