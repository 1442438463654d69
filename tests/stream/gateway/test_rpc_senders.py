"""Who sends OTLP over gRPC: stock OpenTelemetry SDKs over TLS with a token, and our emitter."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from emitter.vocabulary import topics
from emitter.vocabulary.stack import ENV_OTLP_TOKEN
from stream.gateway import Gateway, Settings
from stream.otlp import events, parse
from tests import certificates
from tests.fixtures import Child, free_port, read_topic, start_gateway

pytestmark = pytest.mark.slow

TOKEN = "secret-of-the-test"
TRAINER = """
import sys
import emitter

emitter.init(run="r", run_id=sys.argv[1], endpoint=sys.argv[2], resources=False, logs=False, hooks=False)
for step in range(500):
    emitter.step(step, loss=1.0 / (step + 1))
with emitter.checkpoint(step=499, path="/c/499"):
    pass
emitter.shutdown()
"""


@pytest.fixture(params=[grpc.Compression.NoCompression, grpc.Compression.Gzip], ids=["plain", "gzip"])
def options(request: pytest.FixtureRequest, secure: tuple[int, Path]) -> dict[str, Any]:
    """What each stock exporter is told."""
    port, certificate = secure
    return {
        "endpoint": f"https://localhost:{port}", "headers": {"authorization": f"Bearer {TOKEN}"},
        "credentials": grpc.ssl_channel_credentials(certificate.read_bytes()), "timeout": 60,
        "compression": request.param,
    }  # fmt: skip


@pytest.fixture(scope="module")
def secure(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """The gRPC port and the certificate of a gateway as `trainwarden gateway` starts it."""
    folder = tmp_path_factory.mktemp("gateway")
    key, certificate = certificates.write(folder)
    http, port = free_port(), free_port()
    argv = [sys.executable, "-m", "stream.cli", "gateway", "--kafka", broker, "--port", str(http)]
    argv += ["--grpc-port", str(port), "--tls-cert", str(certificate), "--tls-key", str(key)]
    child = Child(argv, folder / "log", {**os.environ, ENV_OTLP_TOKEN: TOKEN})
    try:
        child.wait_until(lambda: "connected to kafka" in child.log(), "readiness", 120)
        yield port, certificate
        assert child.stop() == 0
        assert TOKEN not in child.log()
        assert "Traceback" not in child.log()
    finally:
        child.kill()


@pytest.fixture
def service() -> str:
    return f"stock-{uuid.uuid4().hex}"


@pytest.fixture
def resource(service: str) -> Resource:
    return Resource.create({"service.name": service, "train.run.id": service})


def _only(broker: str, topic: str, service: str) -> bytes:
    needle = service.encode()
    (record,) = read_topic(broker, topic, enough=len, wanted=lambda one: needle in one.value, timeout=90)
    value: bytes = record.value
    return value


def test_logs(broker: str, options: dict[str, Any], service: str, resource: Resource) -> None:
    """Log records of the SDK arrive with body, severity, attributes and resource."""
    provider = LoggerProvider(resource)
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(**options)))
    provider.get_logger("test").emit(
        LogRecord(timestamp=7, severity_number=SeverityNumber.WARN, body="größer 😀", attributes={"n": 7})
    )
    provider.shutdown()
    (group,) = events.events_from_logs(parse.parse_logs(_only(broker, topics.OTLP_LOGS, service)))
    (event,) = group.events
    assert (group.run, event.time, event.severity, event.body) == (service, 7, 13, "größer 😀")
    assert event.values == {"n": 7}


def test_spans(broker: str, options: dict[str, Any], service: str, resource: Resource) -> None:
    """Spans arrive with times and attributes."""
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(**options)))
    span = provider.get_tracer("test").start_span("checkpoint.save", start_time=5_000_000_000)
    span.end(7_500_000_000)
    provider.shutdown()
    (group,) = events.events_from_spans(parse.parse_spans(_only(broker, topics.OTLP_SPANS, service)))
    (event,) = group.events
    assert (event.name, event.time, event.values) == ("checkpoint.save", 5_000_000_000, {"duration": 2.5})


def test_metrics(broker: str, options: dict[str, Any], service: str, resource: Resource) -> None:
    """A counter and a histogram arrive."""
    exporter = OTLPMetricExporter(**options)
    provider = MeterProvider([PeriodicExportingMetricReader(exporter, 3_600_000)], resource)
    meter = provider.get_meter("test")
    meter.create_counter("requests").add(3, {"path": "/a"})
    meter.create_histogram("latency").record(1.5)
    provider.shutdown()
    (group,) = events.events_from_metrics(parse.parse_metrics(_only(broker, topics.OTLP_METRICS, service)))
    assert {event.metric: event.values for event in group.events} == {
        "requests": {"path": "/a", "value": 3},
        "latency": {"count": 1, "sum": 1.5, "min": 1.5, "max": 1.5},
    }


def test_without_the_token_nothing_is_taken(secure: tuple[int, Path], broker: str) -> None:
    """Neither a wrong token nor a call in the clear gets anything through."""
    port, certificate = secure
    credentials = grpc.ssl_channel_credentials(certificate.read_bytes())
    method = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
    with (
        grpc.secure_channel(f"localhost:{port}", credentials) as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        channel.unary_unary(method)(b"", timeout=60, metadata=(("authorization", "Bearer no"),))
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
    with grpc.insecure_channel(f"localhost:{port}") as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(method)(b"", timeout=60, metadata=(("authorization", f"Bearer {TOKEN}"),))
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


def test_the_emitter_over_grpc(broker: str, tmp_path: Path) -> None:
    """Every step and the checkpoint of a trainer arrive once, in order, under the emitter's key."""
    port, run = free_port(), uuid.uuid4().hex
    gateway, _ = start_gateway(tmp_path / "gateway.log", broker, grpc_port=port)
    trainer = Child(
        [sys.executable, "-c", TRAINER, run, f"grpc://127.0.0.1:{port}"], tmp_path / "trainer.log"
    )
    try:
        assert trainer.process.wait(120) == 0, trainer.log()
        found = read_topic(
            broker, topics.OTLP_LOGS, enough=lambda found: len(_steps(found)) >= 500,
            wanted=lambda one: run.encode() in one.value, timeout=90,
        )  # fmt: skip
        assert _steps(found) == list(range(500))
        assert len({record.key for record in found}) == 1
        assert found[0].key is not None
        assert b"checkpoint.save" in _only(broker, topics.OTLP_SPANS, run)
    finally:
        trainer.kill()
        gateway.kill()


def _steps(records: list[Any]) -> list[int | None]:
    groups = [events.events_from_logs(parse.parse_logs(record.value)) for record in records]
    found = [event for batch in groups for group in batch for event in group.events]
    return [event.step for event in found if event.name == "train.step"]


def test_a_renewed_certificate_is_used(tmp_path: Path) -> None:
    """Connections that come after the files changed see the new one, on both ports."""
    for folder in ("old", "new"):
        (tmp_path / folder).mkdir()
    key, certificate = certificates.write(tmp_path / "old")
    new = certificates.write(tmp_path / "new")
    settings = Settings(
        f"127.0.0.1:{free_port()}", port=free_port(), grpc_port=free_port(), tls_cert=certificate, tls_key=key
    )
    old = ssl.PEM_cert_to_DER_cert(certificate.read_text())
    before, after = asyncio.run(_seen(settings, list(zip(new, (key, certificate), strict=True))))
    assert before == [old] * 2
    assert after == [ssl.PEM_cert_to_DER_cert(new[1].read_text())] * 2


async def _seen(settings: Settings, renewed: list[tuple[Path, Path]]) -> list[list[bytes]]:
    ports = [settings.port, settings.grpc_port or 0]
    gateway = Gateway(settings)
    await gateway.start()
    try:
        before = [await asyncio.to_thread(_certificate, port) for port in ports]
        for number, (source, target) in enumerate(renewed):
            shutil.copy(source, target)
            os.utime(target, (number + 1, number + 1))
        assert gateway.certificate is not None
        gateway.certificate.look()
        return [before, [await asyncio.to_thread(_certificate, port) for port in ports]]
    finally:
        await gateway.stop()


def _certificate(port: int) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection(("127.0.0.1", port), 60) as plain, context.wrap_socket(plain) as line:
        return line.getpeercert(binary_form=True) or b""
