"""What we write to Kafka, read by the Collector's own Kafka receiver."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, StatusCode

from emitter.otlp_kafka import KafkaLogExporter, KafkaMetricExporter, KafkaSpanExporter
from tests.collector import found, telling
from tests.collector.otelcol import FOLDER, Collector, frames, running
from tests.collector.telling import Tap
from tests.fixtures import wait_for

pytestmark = [pytest.mark.collector, pytest.mark.slow]


class Archive(Collector):
    """The Collector of archive.yaml, which reads all topics from their beginning into files."""

    def __init__(self, directory: Path, bootstrap: str) -> None:
        own = {"receivers": {"kafka": {"brokers": [bootstrap], "group_id": uuid.uuid4().hex}}}
        files = {f"file/{name}": {"path": str(directory / name)} for name in ("logs", "traces", "metrics")}
        super().__init__(directory, FOLDER / "archive.yaml", own, {"exporters": files})
        self.directory = directory

    def bodies(self, signal: str) -> list[bytes]:
        return frames(self.directory / signal)


@pytest.fixture(scope="module")
def archive(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    collector = Archive(tmp_path_factory.mktemp("archive"), broker)
    with running(collector):
        yield collector


def test_session_over_kafka_is_read_by_the_collector(archive: Archive, broker: str, tap: Tap) -> None:
    """endpoint="kafka://...": the receiver reads every field of every record as it was sent, in order."""
    run = uuid.uuid4().hex
    telling.tell(run, f"kafka://{broker}")

    sent, sent_spans = found.logs(tap.logs), found.spans(tap.spans)
    wait_for(lambda: len(found.logs(archive.bodies("logs"), run)) >= len(sent), 60, "the log records")
    wait_for(lambda: len(found.spans(archive.bodies("traces"), run)) >= len(sent_spans), 60, "the spans")
    arrived, spans = found.logs(archive.bodies("logs"), run), found.spans(archive.bodies("traces"), run)
    assert found.flat(arrived) == found.flat(sent)
    assert found.flat(spans) == found.flat(sent_spans)
    found.check_records(record for _, record in arrived)
    found.check_spans([span for _, span in spans])


RICH: dict[str, Any] = {
    "text": "größer 😀", "empty": "", "n": 2**63 - 1, "f": float("nan"), "zero": -0.0, "flag": False,
    "texts": ["a", ""], "numbers": [1, -2], "floats": [0.5, float("inf")], "none": [],
}  # fmt: skip


@pytest.fixture
def resource() -> Resource:
    return Resource({"service.name": uuid.uuid4().hex, **RICH}, "https://opentelemetry.io/schemas/1.40.0")


def _tapped(exporter: Any, encode: Any) -> list[bytes]:
    """What the SDK hands to the exporter, as its own OTLP encoder writes it."""
    kept: list[bytes] = []
    export = exporter.export

    def keep(batch: Any, *more: Any, **named: Any) -> Any:
        kept.append(encode(batch).SerializeToString())
        return export(batch, *more, **named)

    exporter.export = keep
    return kept


def _name(resource: Resource) -> str:
    return str(resource.attributes["service.name"])


def test_logs_of_a_stock_sdk_are_read_by_the_collector(
    archive: Archive, broker: str, resource: Resource
) -> None:
    """KafkaLogExporter: bodies and attributes of all kinds, times, severity arrive as the SDK had them."""
    exporter = KafkaLogExporter(broker)
    kept = _tapped(exporter, encode_logs)
    provider = LoggerProvider(resource, shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    logger = provider.get_logger("test", "1.2", "https://example.com/schema", {"of": "scope"})
    bodies: tuple[Any, ...] = (
        "größer 😀",
        "",
        None,
        7,
        0.5,
        True,
        b"\x00\xff",
        ["a", 1, None],
        {"a": {"b": [0.5]}, "": None},
    )
    for number, body in enumerate(bodies):
        logger.emit(
            LogRecord(
                timestamp=1_700_000_000_000_000_000 + number, severity_number=SeverityNumber.WARN,
                severity_text="WARN", body=body, event_name=f"my.event.{number}", attributes=RICH,
            )
        )  # fmt: skip
    provider.shutdown()

    sent = found.logs(kept)
    assert len(sent) == len(bodies)
    wait_for(lambda: len(found.logs(archive.bodies("logs"), _name(resource))) >= len(bodies), 60, "the logs")
    assert found.flat(found.logs(archive.bodies("logs"), _name(resource))) == found.flat(sent)


def test_spans_of_a_stock_sdk_are_read_by_the_collector(
    archive: Archive, broker: str, resource: Resource
) -> None:
    """KafkaSpanExporter: kinds, parents, links, events, states and status arrive as the SDK had them."""
    exporter = KafkaSpanExporter(broker)
    kept = _tapped(exporter, encode_spans)
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("test", "1.2", "https://example.com/schema", {"of": "scope"})
    with tracer.start_as_current_span("outer", kind=SpanKind.SERVER, attributes=RICH) as outer:
        for kind in SpanKind:
            link = Link(outer.get_span_context(), RICH)
            with tracer.start_as_current_span(f"inner {kind.name}", kind=kind, links=[link]) as inner:
                inner.add_event("größer 😀", RICH, 1_700_000_000_000_000_000)
                inner.set_status(StatusCode.ERROR, "voll 😀")
        outer.set_status(StatusCode.OK)
    provider.shutdown()

    sent = found.spans(kept)
    assert len(sent) == 1 + len(SpanKind)
    wait_for(
        lambda: len(found.spans(archive.bodies("traces"), _name(resource))) >= len(sent), 60, "the spans"
    )
    assert found.flat(found.spans(archive.bodies("traces"), _name(resource))) == found.flat(sent)


def _metrics(bodies: list[bytes], name: str) -> list[str]:
    return [
        str(group)
        for body in bodies
        for group in ExportMetricsServiceRequest.FromString(body).resource_metrics
        if name in str(group.resource)
    ]


def test_metrics_of_a_stock_sdk_are_read_by_the_collector(
    archive: Archive, broker: str, resource: Resource
) -> None:
    """KafkaMetricExporter: sums, gauges and histograms arrive as the SDK had them."""
    exporter = KafkaMetricExporter(broker)
    kept = _tapped(exporter, encode_metrics)
    provider = MeterProvider(
        [PeriodicExportingMetricReader(exporter, 600_000)], resource, shutdown_on_exit=False
    )
    meter = provider.get_meter("test", "1.2", "https://example.com/schema", {"of": "scope"})
    meter.create_counter("steps", "1", "größer 😀").add(2**53 + 1, RICH)
    meter.create_up_down_counter("queue").add(-0.5)
    meter.create_gauge("loss").set(0.1, {"rank": 3})
    for value in (0.5, 5e4):
        meter.create_histogram("time", "s").record(value)
    provider.shutdown()

    sent = _metrics(kept, _name(resource))
    assert len(sent) == 1
    wait_for(lambda: _metrics(archive.bodies("metrics"), _name(resource)), 60, "the metrics")
    assert _metrics(archive.bodies("metrics"), _name(resource)) == sent
