"""OTLP/gRPC against a real grpc server with the services of opentelemetry-proto."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.logs.v1.logs_pb2 import ResourceLogs

import emitter
from emitter._records import LOGS, TRACES, Fate, Outcome, Payload
from emitter.otlp.grpc import GrpcExporter
from tests import certificates
from tests.emitter.grpc_side import Collector, Relay, serve
from tests.emitter.receiver import attributes
from tests.fixtures import free_port, wait_for


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def collector(port: int) -> Iterator[Collector]:
    found = Collector()
    server = serve(found, port)
    yield found
    server.stop(None).wait()


def _exporter(port: int, timeout_s: float = 20.0) -> GrpcExporter:
    return GrpcExporter(f"grpc://127.0.0.1:{port}", f"grpc://127.0.0.1:{port}", timeout_s)


def _send(port: int, signal: str = LOGS, timeout_s: float = 20.0) -> Outcome:
    exporter = _exporter(port, timeout_s)
    try:
        return exporter.send(Payload(signal, b"", 3))
    finally:
        exporter.close()


@pytest.mark.parametrize("how", ["argument", "variables"])
def test_steps_and_spans_arrive(
    collector: Collector, port: int, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """endpoint="grpc://..." or OTEL_EXPORTER_OTLP_PROTOCOL=grpc; headers from their variable."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "Api-Key=s%20cret")
    if how == "variables":
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    endpoint = f"grpc://127.0.0.1:{port}" if how == "argument" else None
    emitter.init("run", endpoint=endpoint, resources=False, logs=False, hooks=False)
    for step in range(20):
        emitter.step(step, loss=0.5)
    with emitter.checkpoint(20, "/ckpt"):
        pass
    emitter.shutdown()

    steps = [attributes(record) for record in collector.records("train.step")]
    assert [found["train.step"] for found in steps] == list(range(20))
    assert [request.resource_spans[0].scope_spans[0].spans[0].name for request in collector.spans] == [
        "checkpoint.save"
    ]
    assert collector.metadata["api-key"] == "s cret"


@pytest.mark.parametrize(("compression", "compressed"), [("gzip", True), ("none", False)])
def test_gzip_where_its_variable_asks(
    collector: Collector, port: int, compression: str, compressed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What goes over the wire is smaller; what arrives is the same."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
    request = logs_service_pb2.ExportLogsServiceRequest(
        resource_logs=[ResourceLogs(schema_url="x" * 300_000)]
    )
    with Relay(port) as relay:
        exporter = _exporter(relay.port)
        outcome = exporter.send(Payload(LOGS, request.SerializeToString(), 1))
        exporter.close()

    assert outcome == Outcome(Fate.SENT)
    assert collector.logs == [request]
    assert (relay.bytes < 20_000) is compressed


@pytest.mark.parametrize(
    ("code", "fate"),
    [
        ("CANCELLED", Fate.RETRY), ("DEADLINE_EXCEEDED", Fate.RETRY), ("ABORTED", Fate.RETRY),
        ("OUT_OF_RANGE", Fate.RETRY), ("UNAVAILABLE", Fate.RETRY), ("DATA_LOSS", Fate.RETRY),
        ("RESOURCE_EXHAUSTED", Fate.REFUSED), ("INVALID_ARGUMENT", Fate.REFUSED), ("INTERNAL", Fate.REFUSED),
        ("UNAUTHENTICATED", Fate.REFUSED), ("PERMISSION_DENIED", Fate.REFUSED), ("UNKNOWN", Fate.REFUSED),
        ("UNIMPLEMENTED", Fate.REFUSED), ("NOT_FOUND", Fate.REFUSED), ("ALREADY_EXISTS", Fate.REFUSED),
        ("FAILED_PRECONDITION", Fate.REFUSED),
    ],
)  # fmt: skip
def test_status_codes(collector: Collector, port: int, code: str, fate: Fate) -> None:
    """What may be sent again is what OTLP's specification lists."""
    collector.answer = lambda context: context.abort(grpc.StatusCode[code], "because")

    assert _send(port) == Outcome(fate, f"gRPC {code}: because")


@pytest.mark.parametrize("code", ["RESOURCE_EXHAUSTED", "UNAVAILABLE"])
def test_retry_info_says_how_long_to_wait(collector: Collector, port: int, code: str) -> None:
    """RetryInfo makes RESOURCE_EXHAUSTED worth a retry, and names the waiting time."""
    detail = AnyMessage()
    detail.Pack(RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000)))
    status = Status(code=8, message="slow down", details=[detail])

    def answer(context: Any) -> None:
        context.set_trailing_metadata([("grpc-status-details-bin", status.SerializeToString())])
        context.abort(grpc.StatusCode[code], "slow down")

    collector.answer = answer

    assert _send(port) == Outcome(Fate.RETRY, f"gRPC {code}: slow down", 1.5)


def test_garbage_in_the_details_is_no_retry_info(collector: Collector, port: int) -> None:
    """Bytes that are no Status leave the status code to decide."""

    def answer(context: Any) -> None:
        context.set_trailing_metadata([("grpc-status-details-bin", b"\xff\xff")])
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")

    collector.answer = answer

    assert _send(port).fate is Fate.REFUSED


@pytest.mark.parametrize("signal", [LOGS, TRACES])
def test_partial_success_counts_what_was_rejected(collector: Collector, port: int, signal: str) -> None:
    """SENT, less so many."""
    collector.rejected = 2

    assert _send(port, signal) == Outcome(Fate.SENT, refused=2)


def test_timeout_and_nobody_there_are_retries(collector: Collector, port: int) -> None:
    """A collector that does not answer in time, and none at all."""
    collector.answer = lambda context: time.sleep(1.0)

    assert _send(port, timeout_s=0.2).why.startswith("gRPC DEADLINE_EXCEEDED")
    assert _send(free_port()).fate is Fate.RETRY


def test_collector_that_comes_back_is_found_soon(port: int, caplog: pytest.LogCaptureFixture) -> None:
    """Steps wait while nobody listens; one warning; all arrive."""
    emitter.init("run", endpoint=f"grpc://127.0.0.1:{port}", resources=False, logs=False, hooks=False)
    emitter.step(1, loss=1.0)
    wait_for(lambda: "UNAVAILABLE" in caplog.text, what="the warning")
    found = Collector()
    server = serve(found, port)
    try:
        wait_for(lambda: found.records("train.step"), 60, "the step")
        emitter.shutdown()
    finally:
        server.stop(None).wait()

    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


def test_tls_with_both_certificates(port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """grpcs:// checks the collector's certificate and shows its own, from OpenTelemetry's variables."""
    key, certificate = certificates.write(tmp_path)
    credentials = grpc.ssl_server_credentials(
        [(key.read_bytes(), certificate.read_bytes())], certificate.read_bytes(), require_client_auth=True
    )
    found = Collector()
    server = serve(found, port, credentials)
    try:
        place = f"grpcs://localhost:{port}"
        stranger = GrpcExporter(place, place, 5.0)
        assert stranger.send(Payload(LOGS, b"", 1)).fate is Fate.RETRY
        stranger.close()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(certificate))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_KEY", str(key))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", str(certificate))
        friend = GrpcExporter(place, place, 20.0)
        assert friend.send(Payload(LOGS, b"", 1)) == Outcome(Fate.SENT)
        friend.close()
    finally:
        server.stop(None).wait()


def test_file_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A certificate has no default: no telemetry, and the reason."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "missing.pem")
    emitter.init("run", endpoint="grpcs://localhost:1", resources=False, logs=False, hooks=False)

    assert "expected files that can be read, got 'missing.pem' (No such file or directory)" in caplog.text


def test_missing_extra_is_named(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without grpcio one warning says what to install."""
    monkeypatch.setitem(sys.modules, "grpc", None)
    monkeypatch.delitem(sys.modules, "emitter.otlp.grpc", raising=False)
    emitter.init("run", endpoint="grpc://localhost:1", resources=False, logs=False, hooks=False)

    assert "pip install 'trainwarden[grpc]'" in caplog.text


FORKING = """
    import os, sys
    import torch
    from torch.utils.data import DataLoader
    import emitter
    assert "grpc" not in sys.modules
    emitter.init("run", endpoint=sys.argv[1], hooks=False)
    assert "grpc" in sys.modules
    for epoch in range(3):
        for step, batch in enumerate(DataLoader(list(range(40)), batch_size=4, num_workers=2)):
            emitter.step(step, loss=float(batch.sum()))
    child = os.fork()
    if child == 0:
        emitter.step(99, loss=1.0)
        sys.exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    child = os.fork()
    if child == 0:
        emitter.init("child", endpoint=sys.argv[1], hooks=False, resources=False)
        emitter.step(1000, loss=1.0)
        emitter.shutdown()
        sys.exit(8)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 8
    emitter.step(100, loss=1.0)
    emitter.shutdown()
    print("done")
"""


@pytest.mark.slow
def test_forks_of_the_trainer_are_harmless(collector: Collector, port: int, tmp_path: Path) -> None:
    """init loads grpc; workers and forks end as without it, nothing comes twice; a fork may init."""
    environ = {**os.environ, "TRAINWARDEN_STRICT": "0", "PYTHONPATH": str(Path(__file__).parents[2])}
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FORKING), f"grpc://127.0.0.1:{port}"],
        env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    # gRPC's core says so itself where a fork meets a call; nothing follows from it.
    said = [line for line in ended.stderr.splitlines() if "skipping fork() handlers" not in line]
    assert (ended.returncode, ended.stdout, said) == (0, "done\n", [])
    steps = [attributes(record)["train.step"] for record in collector.records("train.step")]
    assert sorted(steps) == sorted([*range(10)] * 3 + [100, 1000])
