"""A stock OpenTelemetry SDK that knows nothing of us: through gateway and sink into history, fields equal."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

from stream import topics
from tests.fixtures import start_broker, start_gateway, wait_for
from tests.stream.sink.rig import Sink

pytestmark = pytest.mark.slow

WAIT_S = 90.0


@pytest.fixture(scope="module")
def gateway(history_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway before a broker before a sink."""
    folder = tmp_path_factory.mktemp("path")
    broker, kafka = start_broker(folder / "broker.log")
    asyncio.run(topics.apply(kafka)).check()
    sink = Sink("stock", kafka, history_url, Path(folder / "sink"))
    child, url = start_gateway(folder / "gateway.log", kafka)
    sink.wait_ready()
    yield url
    for process in (child, sink.child, broker):
        process.kill()


@pytest.fixture
def service() -> str:
    return f"stock-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def resource(service: str) -> Resource:
    return Resource.create({"service.name": service, "host.name": "node-7"})


def one(client: Client, table: str, name: str, service: str) -> dict[str, Any]:
    """The only row of this service (column ``name``), once it is there."""
    query = f"SELECT *, src_topic != '' AS has_source FROM {table} WHERE {name} = {{service:String}}"

    def look() -> list[dict[str, Any]]:
        return list(client.query(query, {"service": service}).named_results())

    (row,) = wait_for(look, WAIT_S, f"a row of {service} in {table}")
    assert row["has_source"]
    return row


def test_a_log_record(gateway: str, database: Client, service: str, resource: Resource) -> None:
    """Time to the nanosecond, body, severity, name, attributes as text in key order, resource."""
    provider = LoggerProvider(resource)
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(f"{gateway}/v1/logs")))
    sent = time.time_ns()
    provider.get_logger("scope", "1.2").emit(
        LogRecord(
            timestamp=sent, severity_number=SeverityNumber.WARN, severity_text="WARN", body="größer 😀",
            event_name="my.event", attributes={"z": 0.25, "n": 7, "ok": True, "list": (1, 2)},
        )
    )  # fmt: skip
    provider.shutdown()

    row = one(database, "otel_logs", "ServiceName", service)

    exact = "SELECT toUnixTimestamp64Nano(Timestamp) FROM otel_logs WHERE ServiceName = {s:String}"
    assert database.query(exact, {"s": service}).result_rows == [(sent,)]
    assert (row["Body"], row["SeverityText"], row["SeverityNumber"]) == ("größer 😀", "WARN", 13)
    assert (row["EventName"], row["ScopeName"], row["ScopeVersion"]) == ("my.event", "scope", "1.2")
    assert row["LogAttributes"] == {"list": "[1,2]", "n": "7", "ok": "true", "z": "0.25"}
    assert list(dict(row["LogAttributes"])) == ["list", "n", "ok", "z"]
    assert row["ResourceAttributes"].items() >= {"service.name": service, "host.name": "node-7"}.items()


def test_a_span(gateway: str, database: Client, service: str, resource: Resource) -> None:
    """Ids, kind, status, duration, attributes, events, and the look-up of its trace."""
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{gateway}/v1/traces")))
    with provider.get_tracer("scope").start_as_current_span("work", kind=SpanKind.CLIENT) as span:
        span.set_attribute("step", 7)
        span.add_event("half", {"at": 0.5})
        span.set_status(Status(StatusCode.ERROR, "broke"))
    provider.shutdown()

    row = one(database, "otel_traces", "ServiceName", service)

    trace_id = f"{span.get_span_context().trace_id:032x}"
    assert (row["TraceId"], row["SpanId"]) == (trace_id, f"{span.get_span_context().span_id:016x}")
    assert (row["SpanName"], row["SpanKind"], row["StatusCode"]) == ("work", "Client", "Error")
    assert (row["StatusMessage"], row["SpanAttributes"]) == ("broke", {"step": "7"})
    assert isinstance(span, ReadableSpan)
    assert row["Duration"] == (span.end_time or 0) - (span.start_time or 0)
    assert (row["Events.Name"], row["Events.Attributes"]) == (["half"], [{"at": "0.5"}])
    assert database.command(f"SELECT count() FROM otel_traces_trace_id_ts WHERE TraceId = '{trace_id}'") == 1


def test_metrics(gateway: str, database: Client, service: str, resource: Resource) -> None:
    """A counter and a histogram, as they were exported."""
    exporter = OTLPMetricExporter(f"{gateway}/v1/metrics")
    provider = MeterProvider([PeriodicExportingMetricReader(exporter, 3_600_000)], resource)
    meter = provider.get_meter("scope")
    meter.create_counter("tokens", "1").add(5, {"kind": "in"})
    for value in (0.5, 7.0, 70.0):
        meter.create_histogram("latency", "s", explicit_bucket_boundaries_advisory=[1.0, 10.0]).record(value)
    provider.shutdown()

    query = "SELECT * FROM train_metrics WHERE service = {service:String} ORDER BY name DESC"
    wait_for(lambda: database.query(query, {"service": service}).row_count == 2, WAIT_S, "both metrics")
    counter, histogram = database.query(query, {"service": service}).named_results()

    assert (counter["name"], counter["kind"], counter["value"], counter["unit"]) == (
        "tokens",
        "sum",
        5.0,
        "1",
    )
    assert (counter["monotonic"], counter["temporality"]) == (True, "cumulative")
    assert (counter["attributes"], counter["node"], counter["run"], counter["rank"]) == (
        {"kind": "in"}, "node-7", "", -1,
    )  # fmt: skip
    assert (histogram["kind"], histogram["count"], histogram["sum"]) == ("histogram", 3, 77.5)
    assert (histogram["min"], histogram["max"], histogram["value"]) == (0.5, 70.0, None)
    assert histogram["bucket_counts"] == [1, 1, 1]
    assert histogram["explicit_bounds"] == [1.0, 10.0]
