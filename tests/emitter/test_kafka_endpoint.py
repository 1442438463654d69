"""``endpoint="kafka://..."``: the emitter's own records straight to the topics."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs

import emitter
from emitter import _api
from emitter._records import LOGS, Fate, Payload
from emitter.kafka import loop
from emitter.kafka.exporter import KafkaExporter
from emitter.kafka.settings import resolve
from emitter.kafka.writer import Message, Writer
from emitter.vocabulary import topics
from stream import topics as stream_topics
from stream.otlp import events, parse
from tests.emitter import kafka_side
from tests.emitter.receiver import attributes
from tests.fixtures import free_port, read_topic, start_broker, wait_for


def _init(run: str, endpoint: str, **settings: Any) -> None:
    emitter.init(run, run_id=run, endpoint=endpoint, resources=False, logs=False, hooks=False, **settings)


def _records(broker: str, run: str, enough: int = 1, name: str = "train.step") -> list[Any]:
    """Log records of a run, each with the key of its message."""

    def unpacked(found: list[Any]) -> list[Any]:
        return [
            (message.key, record)
            for message in found
            for group in ExportLogsServiceRequest.FromString(message.value).resource_logs
            for scope in group.scope_logs
            for record in scope.log_records
            if record.event_name == name
        ]

    messages = read_topic(
        broker,
        topics.OTLP_LOGS,
        lambda found: len(unpacked(found)) >= enough,
        lambda one: run.encode() in one.value,
    )
    return unpacked(messages)


def _threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == loop.THREAD]


def test_steps_and_spans_are_on_the_topics(broker: str) -> None:
    """Each step once, in order, keyed by emitter id; spans on otlp_spans; our ingest reads both."""
    run = uuid.uuid4().hex
    _init(run, f"kafka://{broker}")
    assert _api._session is not None
    key = _api._session.identity.emitter.encode()
    for step in range(50):
        emitter.step(step, loss=1.0 / (step + 1))
    with emitter.checkpoint(50, "/ckpt"):
        pass
    emitter.shutdown()

    found = _records(broker, run, 50)
    assert [attributes(record)["train.step"] for _, record in found] == list(range(50))
    assert {used for used, _ in found} == {key}
    (spans,) = read_topic(broker, topics.OTLP_SPANS, len, lambda one: run.encode() in one.value)
    assert spans.key == key
    (group,) = events.events_from_spans(parse.parse_spans(spans.value))
    assert (group.run, group.events[0].name) == (run, "checkpoint.save")
    wait_for(lambda: not _threads(), what="the end of its thread")


def test_commands_and_telemetry_share_one_thread(broker: str) -> None:
    """kafka:// for both costs one thread, and both work."""
    run, seen = uuid.uuid4().hex, list[Any]()
    wait_for(lambda: not _threads(), what="the end of what another test broke off")
    emitter.on("save")(seen.append)
    _init(run, f"kafka://{broker}", commands=f"kafka://{broker}")
    kafka_side.send(broker, topics.REMEDIATION_COMMANDS, kafka_side.command(run, "save"))

    def stepped() -> bool:
        emitter.step(None, loss=1.0)
        return bool(seen)

    wait_for(stepped, 60, "the command")
    assert len(_threads()) == 1
    emitter.shutdown()

    assert _records(broker, run)


def test_broker_that_comes_later_gets_everything_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Records wait while nothing listens and while topics are missing; one warning each way; all arrive."""
    run, port = uuid.uuid4().hex, free_port()
    _init(run, f"kafka://127.0.0.1:{port}", export_timeout_s=2)
    for step in range(5):
        emitter.step(step, loss=1.0)
    wait_for(lambda: "Connect call failed" in caplog.text, what="the warning")
    child, bootstrap = start_broker(tmp_path / "broker.log", port)
    try:
        asyncio.run(stream_topics.apply(bootstrap)).check()
        for step in range(5, 10):
            emitter.step(step, loss=1.0)
        found = _records(bootstrap, run, 10)
        emitter.shutdown()
    finally:
        child.kill()

    assert [attributes(record)["train.step"] for _, record in found] == list(range(10))
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.name for record in warnings] == ["emitter"] * len(warnings)


def test_missing_topic_is_a_retry_at_once_and_creates_none(tmp_path: Path) -> None:
    """A broker without our topics is told apart from one that is slow, and gets none from us."""
    child, bootstrap = start_broker(tmp_path / "broker.log")
    exporter = KafkaExporter(resolve({"brokers": bootstrap}), "me", 20.0)
    try:
        began = time.monotonic()
        outcome = exporter.send(_payload("a"))
        took = time.monotonic() - began
        asyncio.run(stream_topics.apply(bootstrap)).check()
        assert exporter.send(_payload("a")).fate is Fate.SENT
    finally:
        exporter.close()
        child.kill()

    assert outcome.fate is Fate.RETRY
    assert "topic otlp_logs does not exist; `trainwarden topics apply` creates it" in outcome.why
    assert took < 15


def test_hanging_broker_costs_the_export_timeout() -> None:
    """RETRY when the time is over, and close does not wait for it either."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        exporter = KafkaExporter(resolve({"brokers": f"127.0.0.1:{server.getsockname()[1]}"}), "me", 0.3)
        began = time.monotonic()
        outcome = exporter.send(_payload("a"))
        exporter.close()

    assert (outcome.fate, outcome.why) == (
        Fate.RETRY,
        "KafkaTimeoutError: no answer within 0.3 s while connecting",
    )
    assert time.monotonic() - began < 10


def test_large_request_goes_out_in_parts(broker: str, caplog: pytest.LogCaptureFixture) -> None:
    """Parts below the limit; the one record that fits nowhere is counted, and said once."""
    run = uuid.uuid4().hex
    settings = resolve({"brokers": broker, "max_message_bytes": 5000})
    exporter = KafkaExporter(settings, "me", 20.0)
    bodies = [f"{run}-{number} " + "x" * (9000 if number == 3 else 400) for number in range(40)]
    outcomes = [exporter.send(_payload(*bodies)), exporter.send(_payload("x" * 9000))]
    exporter.close()

    assert [(outcome.fate, outcome.refused) for outcome in outcomes] == [(Fate.SENT, 1), (Fate.REFUSED, 0)]
    messages = read_topic(
        broker, topics.OTLP_LOGS, lambda found: len(found) >= 4, lambda one: run.encode() in one.value
    )
    assert max(len(message.value) for message in messages) <= 5000
    sent = [
        record.body.string_value
        for message in messages
        for record in ExportLogsServiceRequest.FromString(message.value)
        .resource_logs[0]
        .scope_logs[0]
        .log_records
    ]
    assert sorted(sent) == sorted(body for body in bodies if len(body) < 9000)
    warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "is too large for kafka://" in warnings[0]
    assert "dropped and counted as refused" in warnings[0]


def test_limit_of_the_topic_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that takes less than our limit gets smaller parts."""
    written: list[bytes] = []

    def write(self: Writer, topic: str, messages: list[Message], timeout_s: float) -> None:
        if len(messages[0].value) > 300:
            raise MessageSizeTooLargeError
        written.append(messages[0].value)

    monkeypatch.setattr(Writer, "write", write)
    outcome = KafkaExporter(resolve({}), "me", 1.0).send(_payload(*("y" * 100 for _ in range(9))))

    assert (outcome.fate, outcome.refused) == (Fate.SENT, 0)
    assert (
        sum(parse.parse_logs(body).resource_logs[0].scope_logs[0].log_records.__len__() for body in written)
        == 9
    )


def test_what_is_refused_is_counted_by_the_session(broker: str) -> None:
    """Delivered plus counted is what was called."""
    run = uuid.uuid4().hex
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAINWARDEN_KAFKA_MAX_MESSAGE_BYTES", "4000")
        _init(run, f"kafka://{broker}")
    for number in range(10):
        emitter.log(f"{number} " + "n" * (3900 if number == 4 else 5))
    assert _api._session is not None
    queue = _api._session.queue
    emitter.shutdown()

    lines = [record.body.string_value[0] for _, record in _records(broker, run, 9, "train.log")]
    assert lines == list("012356789")
    assert queue.totals == {"refused": 1}


def test_missing_extra_is_named(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without aiokafka one warning says what to install; training goes on."""
    monkeypatch.setitem(sys.modules, "aiokafka.errors", None)
    monkeypatch.delitem(sys.modules, "emitter.kafka.exporter", raising=False)
    _init("no-extra", "kafka://127.0.0.1:1")
    emitter.step(1, loss=1.0)

    assert "telemetry goes nowhere: aiokafka.errors is not installed." in caplog.text
    assert "Install it with `pip install 'trainwarden[kafka]'`" in caplog.text


def test_bad_variable_is_one_warning(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A security setting has no default that could stand in for it: no telemetry, and the reason."""
    monkeypatch.setenv("TRAINWARDEN_KAFKA_SASL_USERNAME", "u")
    _init("bad", "kafka://127.0.0.1:1", commands="kafka://127.0.0.1:1")

    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == [
        "expected sasl_username and sasl_password together, got one of them; " + rest
        for rest in (
            "telemetry goes nowhere, training goes on",
            "commands are off, training and telemetry go on",
        )
    ]


def _payload(*bodies: str) -> Payload:
    records = [LogRecord(event_name="train.log", body=AnyValue(string_value=body)) for body in bodies]
    groups = [ResourceLogs(scope_logs=[ScopeLogs(log_records=records)])]
    body = ExportLogsServiceRequest(resource_logs=groups).SerializeToString()
    return Payload(LOGS, body, len(bodies))
