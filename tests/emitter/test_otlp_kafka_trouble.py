"""The public exporters in trouble: no broker, one that hangs, forks, instrumented clients, the end."""

from __future__ import annotations

import asyncio
import functools
import logging
import multiprocessing
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from opentelemetry._logs import LogRecord
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SpanExportResult

from emitter.kafka import loop
from emitter.otlp_kafka import KafkaLogExporter, KafkaSpanExporter
from emitter.vocabulary import topics
from stream import topics as stream_topics
from tests.emitter.stock_sdk import logger_provider, read
from tests.fixtures import free_port, start_broker, wait_for


def _readable(resource: Resource) -> Any:
    return ReadableLogRecord(log_record=LogRecord(body="x"), resource=resource)


@pytest.mark.parametrize("compression", ["none", "gzip", "lz4", "snappy", "zstd"])
def test_every_compression_is_readable(
    broker: str, service: str, resource: Resource, compression: str
) -> None:
    """What aiokafka can compress, a stock consumer reads."""
    provider = logger_provider(KafkaLogExporter(broker, compression=compression, key="k"), resource)
    provider.get_logger("test").emit(LogRecord(body="x" * 1000))
    provider.shutdown()

    (message,) = read(broker, topics.OTLP_LOGS, service)
    assert message.key == b"k"


def test_dead_broker_is_said_once_and_costs_the_timeout(
    resource: Resource, caplog: pytest.LogCaptureFixture
) -> None:
    """Each export fails within its timeout; one warning however many exports; no traceback of aiokafka."""
    exporter = KafkaLogExporter(f"127.0.0.1:{free_port()}", timeout=0.5)
    with caplog.at_level(logging.DEBUG):
        began = time.monotonic()
        provider = logger_provider(exporter, resource)
        for _ in range(2):
            provider.get_logger("test").emit(LogRecord(body="x"))
            provider.force_flush()
        took = time.monotonic() - began
        provider.shutdown()

    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.name for record in warnings] == ["emitter.otlp_kafka"]
    assert warnings[0].message.startswith("cannot write to kafka://127.0.0.1:")
    assert "Connect call failed" in warnings[0].message
    assert took < 20


def test_broker_that_comes_back_is_said_too(
    resource: Resource, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line when it works again; what was exported before is lost, as with the SDK's own exporters."""
    port = free_port()
    exporter = KafkaLogExporter(f"127.0.0.1:{port}", timeout=0.3)
    assert exporter.export([_readable(resource)]) is LogRecordExportResult.FAILURE
    child, bootstrap = start_broker(tmp_path / "broker.log", port)
    try:
        asyncio.run(stream_topics.apply(bootstrap)).check()
        wait_for(lambda: exporter.export([_readable(resource)]) is LogRecordExportResult.SUCCESS)
        exporter.shutdown()
    finally:
        child.kill()

    assert [message.partition(", topic otlp_logs ")[2][:11] for message in caplog.messages] == [
        "(Unable con", "works again"]  # fmt: skip


def test_broker_that_hangs_cannot_hold_shutdown(resource: Resource) -> None:
    """A broker that accepts and never answers: shutdown is over in the time it is given."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        exporter = KafkaLogExporter(f"127.0.0.1:{server.getsockname()[1]}", timeout=60)
        exporting = threading.Thread(target=exporter.export, args=([_readable(resource)],), daemon=True)
        exporting.start()
        assert not exporter.force_flush(100)
        began = time.monotonic()
        exporter.shutdown(timeout_millis=200)
        exporting.join(20)

    assert not exporting.is_alive()
    assert time.monotonic() - began < 20


def test_nothing_is_left_behind(broker: str, resource: Resource) -> None:
    """After shutdown the thread is gone; a second shutdown is harmless; an export afterwards fails."""
    exporters = [KafkaSpanExporter(broker), KafkaSpanExporter(broker)]
    for exporter in exporters:
        assert exporter.export([]) is SpanExportResult.SUCCESS
    for exporter in [*exporters, exporters[0]]:
        exporter.shutdown()

    # One that another test broke off may still be ending.
    wait_for(lambda: loop.THREAD not in {thread.name for thread in threading.enumerate()}, what="its end")
    assert exporters[0].export([]) is SpanExportResult.FAILURE


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_works_after_a_fork(broker: str, service: str, resource: Resource) -> None:
    """The SDK starts again in a forked child, and so do we: both processes deliver, each on its own line."""
    provider = logger_provider(KafkaLogExporter(broker), resource)
    logger = provider.get_logger("test")
    logger.emit(LogRecord(body="before"))
    provider.force_flush()

    def child() -> None:
        logger.emit(LogRecord(body="child"))
        provider.force_flush()
        provider.shutdown()

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(60)
    logger.emit(LogRecord(body="after"))
    provider.shutdown()

    assert process.exitcode == 0
    bodies = [
        ExportLogsServiceRequest.FromString(message.value).resource_logs[0].scope_logs[0].log_records[0].body
        for message in read(broker, topics.OTLP_LOGS, service, 3)
    ]
    assert sorted(body.string_value for body in bodies) == ["after", "before", "child"]


def test_instrumented_aiokafka_does_not_see_us(
    broker: str, service: str, resource: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Instrumentations wrap AIOKafkaProducer.send; a span for each export would itself be exported."""
    seen: list[str] = []

    def instrumented(send: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(send)
        async def wrapper(self: AIOKafkaProducer, topic: str, *rest: Any, **more: Any) -> Any:
            seen.append(topic)
            return await send(self, topic, *rest, **more)

        return wrapper

    monkeypatch.setattr(AIOKafkaProducer, "send", instrumented(AIOKafkaProducer.send))
    provider = logger_provider(KafkaLogExporter(broker), resource)
    provider.get_logger("test").emit(LogRecord(body="x"))
    provider.shutdown()

    assert read(broker, topics.OTLP_LOGS, service)
    assert seen == []
