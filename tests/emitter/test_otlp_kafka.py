"""The public exporters: a stock OpenTelemetry SDK, a real broker, an unmodified consumer."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from emitter.otlp_kafka import KafkaLogExporter, KafkaMetricExporter, KafkaSettingError, KafkaSpanExporter
from emitter.vocabulary import topics
from stream.otlp import events, parse
from tests.emitter.stock_sdk import logger_provider, read
from tests.fixtures import read_topic


def _tracer_provider(exporter: KafkaSpanExporter, resource: Resource) -> TracerProvider:
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def test_log_records_arrive_field_by_field(broker: str, service: str, resource: Resource) -> None:
    """Logs of the stock SDK are on otlp_logs as a Collector expects them, and our own ingest reads them."""
    provider = logger_provider(KafkaLogExporter(broker), resource)
    provider.get_logger("test").emit(
        LogRecord(
            timestamp=1_700_000_000_000_000_000, severity_number=SeverityNumber.WARN, body="größer 😀",
            event_name="my.event", attributes={"loss": 0.25, "n": 7},
        )
    )  # fmt: skip
    assert provider.force_flush()
    provider.shutdown()

    (message,) = read(broker, topics.OTLP_LOGS, service)
    assert (message.key, message.headers) == (None, ())
    (group,) = ExportLogsServiceRequest.FromString(message.value).resource_logs
    (record,) = group.scope_logs[0].log_records
    assert (record.body.string_value, record.event_name) == ("größer 😀", "my.event")
    assert (record.time_unix_nano, record.severity_number) == (1_700_000_000_000_000_000, 13)
    (found,) = events.events_from_logs(parse.parse_logs(message.value))
    assert (found.resources[0].service, found.events[0].values) == (service, {"loss": 0.25, "n": 7})


def test_spans_arrive_one_message_a_trace_when_asked(broker: str, service: str, resource: Resource) -> None:
    """With by_trace the key is the trace id in hexadecimal, as of the Collector's partition_traces_by_id."""
    provider = _tracer_provider(KafkaSpanExporter(broker, by_trace=True), resource)
    tracer = provider.get_tracer("test")
    for name in ("a", "b"):
        with tracer.start_as_current_span(name), tracer.start_as_current_span(f"{name}-child"):
            pass
    provider.shutdown()

    found = read(broker, topics.OTLP_SPANS, service, 2)
    spans = {
        message.key.decode(): [
            span
            for group in ExportTraceServiceRequest.FromString(message.value).resource_spans
            for span in group.scope_spans[0].spans
        ]
        for message in found
    }
    assert sorted(sorted(span.name for span in group) for group in spans.values()) == [
        ["a", "a-child"], ["b", "b-child"]]  # fmt: skip
    assert all(span.trace_id.hex() == key for key, group in spans.items() for span in group)
    assert all(group.events for group in events.events_from_spans(parse.parse_spans(found[0].value)))


def test_metrics_arrive(broker: str, service: str, resource: Resource) -> None:
    """Metrics of the stock SDK are on otlp_metrics, keyed by the resource attribute that was asked for."""
    exporter = KafkaMetricExporter(broker, key_attribute="service.instance.id")
    provider = MeterProvider(
        [PeriodicExportingMetricReader(exporter, 60_000)], resource, shutdown_on_exit=False
    )
    provider.get_meter("test").create_counter("steps").add(5)
    provider.shutdown()

    (message,) = read(broker, topics.OTLP_METRICS, service)
    assert message.key == f"{service}-1".encode()
    (group,) = ExportMetricsServiceRequest.FromString(message.value).resource_metrics
    assert group.scope_metrics[0].metrics[0].sum.data_points[0].as_int == 5


def test_large_batch_is_split_and_a_giant_is_dropped(
    broker: str, service: str, resource: Resource, caplog: pytest.LogCaptureFixture
) -> None:
    """A batch above the limit goes out in parts; a record above it is lost, and said once."""
    provider = logger_provider(KafkaLogExporter(broker, max_message_bytes=20_000), resource)
    logger = provider.get_logger("test")
    for number in range(100):
        logger.emit(LogRecord(body=f"{number} " + "x" * (30_000 if number in (7, 8) else 1000)))
    provider.shutdown()

    def bodies(found: list[ConsumerRecord]) -> list[str]:
        return [
            record.body.string_value.split()[0]
            for message in found
            for group in ExportLogsServiceRequest.FromString(message.value).resource_logs
            for record in group.scope_logs[0].log_records
        ]

    # How many messages they make depends on when the SDK's processor looks.
    ours = service.encode()
    found = read_topic(
        broker, topics.OTLP_LOGS, lambda found: len(bodies(found)) >= 98, lambda one: ours in one.value
    )
    assert sorted(map(int, bodies(found))) == [number for number in range(100) if number not in (7, 8)]
    assert max(len(message.value) for message in found) <= 20_000
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == [
        f"a record of 30{caplog.messages[0].split()[3][2:]} bytes is too large for kafka://{broker}, topic "
        "otlp_logs (max_message_bytes, or the topic's own limit); it is lost, as are all like it"
    ]


def test_variables_alone_configure_it(broker: str, service: str) -> None:
    """OTEL_TRACES_EXPORTER=otlp_kafka and variables, no code: as opentelemetry-instrument does it."""
    code = (
        "from opentelemetry.sdk._configuration import _OTelSDKConfigurator as C; C().configure()\n"
        "from opentelemetry import trace\n"
        "trace.get_tracer('t').start_span('by-variables').end()\n"
    )
    environ = {
        "OTEL_TRACES_EXPORTER": "otlp_kafka", "OTEL_SERVICE_NAME": service,
        "TRAINWARDEN_KAFKA_BROKERS": broker, "TRAINWARDEN_KAFKA_KEY_ATTRIBUTE": "service.name",
        "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none",
    }  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, timeout=60, check=False
    )

    assert (ended.returncode, ended.stderr) == (0, b"")
    (message,) = read(broker, topics.OTLP_SPANS, service)
    assert message.key == service.encode()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"key": "a", "key_attribute": "b"}, KafkaSettingError, "expected key or key_attribute, got both"),
        ({"topik": "a"}, TypeError, "unknown argument `topik`; known are topic, key, key_attribute, tls,"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, Any], error: type[Exception], message: str) -> None:
    """Misspelt and contradicting arguments raise where the exporter is made."""
    with pytest.raises(error, match=message):
        KafkaLogExporter("127.0.0.1:1", **options)
