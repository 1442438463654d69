"""A stock OpenTelemetry SDK that knows nothing of us, through the real gateway into the real broker."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode

from emitter.vocabulary import topics
from stream.events import Event
from stream.otlp import events, parse
from stream.otlp.runs import RunEvents
from tests.fixtures import read_topic

pytestmark = pytest.mark.slow


@pytest.fixture
def service() -> str:
    return f"stock-{uuid.uuid4().hex}"


@pytest.fixture(params=[Compression.NoCompression, Compression.Gzip, Compression.Deflate])
def compression(request: pytest.FixtureRequest) -> Compression:
    chosen: Compression = request.param
    return chosen


@pytest.fixture
def resource(service: str) -> Resource:
    return Resource.create({"service.name": service, "host.name": "node-7", "train.rank": 3})


def _records(broker: str, topic: str, service: str) -> Iterator[bytes]:
    needle = service.encode()
    for record in read_topic(broker, topic, enough=len, wanted=lambda record: needle in record.value):
        yield record.value


def _only(groups: list[RunEvents]) -> tuple[Any, list[Event]]:
    (group,) = groups
    (resource,) = group.resources
    return resource, group.events


def test_logs(broker: str, gateway: str, service: str, resource: Resource, compression: Compression) -> None:
    """Log records of the SDK and of `logging` arrive with body, severity, attributes and resource."""
    provider = LoggerProvider(resource)
    provider.add_log_record_processor(
        BatchLogRecordProcessor(OTLPLogExporter(f"{gateway}/v1/logs", compression=compression))
    )
    provider.get_logger("test").emit(
        LogRecord(
            timestamp=1_700_000_000_000_000_000, severity_number=SeverityNumber.WARN, body="größer 😀",
            event_name="my.event", attributes={"loss": 0.25, "n": 7, "ok": True, "list": (1, 2)},
        )
    )  # fmt: skip
    provider.shutdown()
    (payload,) = _records(broker, topics.OTLP_LOGS, service)
    sender, (event,) = _only(events.events_from_logs(parse.parse_logs(payload)))
    assert (sender.service, sender.node, sender.rank, sender.run) == (service, "node-7", 3, "")
    assert (event.name, event.time, event.severity) == ("my.event", 1_700_000_000_000_000_000, 13)
    assert event.body == "größer 😀"
    assert event.values == {"loss": 0.25, "n": 7, "ok": True, "list": "[1,2]"}


def test_log_without_event_name(broker: str, gateway: str, service: str, resource: Resource) -> None:
    """A plain log line of the SDK, as logging bridges send it, is a train.log."""
    provider = LoggerProvider(resource)
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(f"{gateway}/v1/logs")))
    provider.get_logger("test").emit(
        LogRecord(timestamp=1, severity_number=SeverityNumber.ERROR, body="disk /data is full")
    )
    provider.shutdown()
    (payload,) = _records(broker, topics.OTLP_LOGS, service)
    _, (event,) = _only(events.events_from_logs(parse.parse_logs(payload)))
    assert (event.name, event.severity, event.body) == ("train.log", 17, "disk /data is full")


def test_spans(broker: str, gateway: str, service: str, resource: Resource, compression: Compression) -> None:
    """Spans arrive with times, status and attributes."""
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(f"{gateway}/v1/traces", compression=compression))
    )
    span = provider.get_tracer("test").start_span("checkpoint.save", start_time=5_000_000_000)
    span.set_attribute("checkpoint.bytes", 1 << 40)
    span.set_status(Status(StatusCode.ERROR, "disk full"))
    span.end(7_500_000_000)
    provider.shutdown()
    (payload,) = _records(broker, topics.OTLP_SPANS, service)
    _, (event,) = _only(events.events_from_spans(parse.parse_spans(payload)))
    assert (event.name, event.time, event.end) == ("checkpoint.save", 5_000_000_000, 7_500_000_000)
    assert (event.status, event.body) == ("error", "disk full")
    assert event.values == {"duration": 2.5, "checkpoint.bytes": 1 << 40}


def test_metrics(
    broker: str, gateway: str, service: str, resource: Resource, compression: Compression
) -> None:
    """A counter, a gauge and a histogram arrive as one event for each data point."""
    exporter = OTLPMetricExporter(f"{gateway}/v1/metrics", compression=compression)
    provider = MeterProvider([PeriodicExportingMetricReader(exporter, 3_600_000)], resource)
    meter = provider.get_meter("test")
    meter.create_counter("requests").add(3, {"path": "/a"})
    meter.create_gauge("temperature").set(36.6)
    histogram = meter.create_histogram("latency")
    histogram.record(1.0)
    histogram.record(3.0)
    provider.shutdown()
    (payload,) = _records(broker, topics.OTLP_METRICS, service)
    _, found = _only(events.events_from_metrics(parse.parse_metrics(payload)))
    values = {event.metric: event.values for event in found}
    assert {event.name for event in found} == {"metric"}
    assert values["requests"] == {"path": "/a", "value": 3}
    assert values["temperature"] == {"value": 36.6}
    assert values["latency"] == {"count": 2, "sum": 4.0, "min": 1.0, "max": 3.0}
