"""What history, gateway and ClickHouse endpoint say of themselves. Real processes."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from emitter.vocabulary import topics
from tests.fixtures import Child, free_port, http_request, start_gateway
from tests.stream.loop_rig import Ends, Rank
from tests.stream.scraped import Pages

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CLI = [sys.executable, "-m", "stream.cli"]
PROTOBUF = {"Content-Type": "application/x-protobuf"}


def test_history_without_clickhouse_is_behind_and_not_stuck(broker: str, tmp_path: Path) -> None:
    """It retries, records wait in memory, the lag grows; a restart would not help, so it is healthy."""
    port, gone = free_port(), f"http://127.0.0.1:{free_port()}"
    command = [
        *CLI, "worker", "--app", "history", "--kafka", broker, "--clickhouse", gone,
        "--health-port", str(port), "--stuck-after", "5", "--data-dir", str(tmp_path / "data"),
    ]  # fmt: skip
    child, pages = Child(command, tmp_path / "log"), Pages(port)
    try:
        child.wait_until(lambda: pages.get("/readyz")[0] == 200, "readiness", 120)
        asyncio.run(_pile_up(broker, pages))
        pages.wait(lambda value: value > 0, "trainwarden_history_waiting_bytes")
        pages.wait(lambda value: value > 1, "trainwarden_history_retries_total")
        assert pages.get("/healthz") == (200, {"status": "ok"})
    finally:
        child.kill()


async def _pile_up(broker: str, pages: Pages) -> None:
    rank, until = Rank("health-history"), time.monotonic() + 12
    async with Ends(broker) as ends:
        while time.monotonic() < until or pages.value("trainwarden_history_retries_total") < 2:
            await ends.send(topics.OTLP_LOGS, rank.step(rank.seq, grad_norm=1.0), partition=1)
            assert pages.get("/healthz")[0] == 200
            await asyncio.sleep(0.1)
            assert time.monotonic() < until + 100, "it never tried"


def test_the_gateway_counts_by_signal_protocol_and_status(broker: str, tmp_path: Path) -> None:
    """And what it refused by reason; its pages are on the health port and on its own."""
    health, rpc = free_port(), free_port()
    child, url = start_gateway(tmp_path / "log", broker, health_port=health, grpc_port=rpc)
    pages = Pages(health)
    try:
        good = Rank("health-gateway").step(1, grad_norm=1.0)
        assert http_request("POST", f"{url}/v1/logs", good, PROTOBUF).status == 200
        assert http_request("POST", f"{url}/v1/traces", b"\xff\xff", PROTOBUF).status == 400
        assert http_request("POST", f"{url}/v1/logs", good, {"Content-Type": "text/plain"}).status == 415
        _call(rpc, good)
        requests, reasons = "trainwarden_gateway_requests_total", "trainwarden_gateway_refused_total"
        pages.wait(bool, requests, signal="logs", protocol="http", status="200")
        assert pages.value(requests, signal="traces", protocol="http", status="400") == 1
        assert pages.value(requests, signal="logs", protocol="http", status="415") == 1
        assert pages.value(requests, signal="logs", protocol="grpc", status="OK") == 1
        assert pages.value(reasons, reason="malformed") == 1
        assert pages.value(reasons, reason="unsupported") == 1
        assert pages.value("trainwarden_gateway_request_size_bytes_total", signal="logs") == 2 * len(good)
        took = "trainwarden_gateway_request_duration_seconds_count"
        assert pages.value(took, signal="logs", protocol="http") == 2
        assert pages.value("trainwarden_gateway_queue_bytes") == 0
        for page in ("/healthz", "/readyz"):
            assert pages.get(page)[0] == http_request("GET", url + page).status == 200
        assert http_request("GET", f"{url}/metrics").status == 404
    finally:
        assert child.stop() == 0


def _call(port: int, request: bytes) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        export = channel.unary_unary(
            "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            request_serializer=ExportLogsServiceRequest.SerializeToString,
            response_deserializer=bytes,
        )
        export(ExportLogsServiceRequest.FromString(request), timeout=60, wait_for_ready=True)


def test_a_gateway_without_a_broker_is_alive_and_not_ready(tmp_path: Path) -> None:
    """Kubernetes takes it out of the service and does not restart it."""
    health = free_port()
    child, url = start_gateway(tmp_path / "log", f"127.0.0.1:{free_port()}", ready=False, health_port=health)
    try:
        good = Rank("nowhere").step(1, grad_norm=1.0)
        assert http_request("POST", f"{url}/v1/logs", good, PROTOBUF).status == 503
        pages = Pages(health)
        pages.wait(bool, "trainwarden_gateway_refused_total", reason="unavailable")
        assert pages.get("/healthz")[0] == 200
        status, said = pages.get("/readyz")
        assert (status, said["ready"]) == (503, False)
        assert said["problem"].startswith("kafka 127.0.0.1:")
        assert pages.value("trainwarden_ready") == 0
    finally:
        child.kill()


@pytest.mark.parametrize("part", ["gateway", "clickhouse"])
def test_a_health_port_in_use_costs_one_clear_line(part: str, tmp_path: Path) -> None:
    """It names the port and the option; nothing is left behind."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        health = str(taken.getsockname()[1])
        options = ["--kafka", "127.0.0.1:1"] if part == "gateway" else ["--data-dir", str(tmp_path / "data")]
        command = [*CLI, part, "--port", str(free_port()), "--health-port", health, *options]
        if part == "gateway":
            command += ["--grpc-port", "0"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 3, done.stderr
    expected = f"health port 127.0.0.1:{health}: Address already in use; choose another --health-port"
    assert done.stderr.splitlines()[-1] == f"trainwarden: {expected}"
    assert "Traceback" not in done.stderr


def test_the_clickhouse_endpoint_counts_queries_inserts_and_errors(tmp_path: Path) -> None:
    """And says how it is beside ClickHouse's own /ping."""
    port, health = free_port(), free_port()
    command = [
        *CLI, "clickhouse", "--data-dir", str(tmp_path / "data"), "--port", str(port),
        "--health-port", str(health),
    ]  # fmt: skip
    child, pages, url = Child(command, tmp_path / "log"), Pages(health), f"http://127.0.0.1:{port}/"
    try:
        child.wait_until(lambda: pages.get("/readyz")[0] == 200, "readiness")
        for page in ("healthz", "readyz"):
            assert pages.get(f"/{page}")[0] == http_request("GET", url + page).status == 200
        for sql in ("CREATE TABLE t (x Int64) ENGINE = MergeTree ORDER BY x", "SELECT 1"):
            assert http_request("POST", url, sql.encode()).status == 200
        query = f"{url}?query=INSERT%20INTO%20t%20FORMAT%20TSV"
        assert http_request("POST", query, b"1\n2\n").status == 200
        assert http_request("POST", url, b"SELECT * FROM nowhere").status == 404
        assert http_request("POST", url, b"SELEKT").status == 400
        requests = "trainwarden_clickhouse_requests_total"
        pages.wait(lambda value: value == 2, requests, kind="queries", outcome="ok")
        assert pages.value(requests, kind="inserts", outcome="ok") == 1
        assert pages.value(requests, kind="queries", outcome="60") == 1  # UNKNOWN_TABLE
        assert (
            sum(
                v
                for (n, labels), v in pages.samples().items()
                if n == requests and ("outcome", "62") in labels
            )
            == 1
        )
        assert pages.value("trainwarden_clickhouse_request_duration_seconds_count", kind="inserts") == 1
        assert pages.value("trainwarden_clickhouse_under_way", kind="queries") == 0
        assert pages.value("trainwarden_clickhouse_memory_bytes") > 0
        assert child.stop() == 0
    finally:
        child.kill()
