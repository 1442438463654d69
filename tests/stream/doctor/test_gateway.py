"""What is said of the endpoint; a real gateway."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from stream.doctor import Verdict, gateway
from tests.fixtures import free_port, start_gateway


class Other(BaseHTTPRequestHandler):
    """Ready like a gateway, on a machine whose clock is years behind; something else at /other."""

    def do_GET(self) -> None:
        self.send_response(404 if self.path.startswith("/other") else 200)
        self.end_headers()
        self.wfile.write(b'{"ready": true}')

    def date_time_string(self, timestamp: float | None = None) -> str:
        return "Thu, 01 Jan 2015 00:00:00 GMT"

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def other() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Other)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_gateway_that_is_ready(gateway: str) -> None:
    """And has the right time."""
    from stream.doctor.gateway import look

    found = look(gateway)
    assert (found.verdict, found.said) == (Verdict.ok, f"{gateway} is ready")


def test_a_gateway_without_a_broker(tmp_path: Path) -> None:
    """Says what it misses."""
    child, url = start_gateway(tmp_path / "log", f"127.0.0.1:{free_port()}", ready=False)
    try:
        found = gateway.look(url)
    finally:
        child.kill()
    assert found.verdict is Verdict.error
    assert found.said.startswith(f"{url} is not ready: ")


def test_others(other: str) -> None:
    """Nobody, a Collector, an endpoint that is no page, and a clock that is years behind."""
    assert gateway.look(f"http://127.0.0.1:{free_port()}").cure == "start it: `trainwarden gateway`"
    assert gateway.look(f"{other}/other").verdict is Verdict.ok
    assert gateway.look("kafka://127.0.0.1:1").verdict is Verdict.skipped
    late = gateway.look(other)
    assert late.verdict is Verdict.error
    assert late.said.endswith("s behind")


def test_grpc(broker: str, tmp_path: Path) -> None:
    """A gateway that takes it, one that asks for a token, nobody, and something that is not gRPC."""
    port, guarded = free_port(), free_port()
    child, url = start_gateway(tmp_path / "log", broker, grpc_port=port)
    other, _ = start_gateway(tmp_path / "other.log", broker, grpc_port=guarded, otlp_token="secret")
    try:
        found = gateway.look(f"grpc://127.0.0.1:{port}")
        assert (found.verdict, found.said) == (Verdict.ok, f"grpc://127.0.0.1:{port} takes gRPC")
        assert gateway.look(f"grpc://127.0.0.1:{guarded}").verdict is Verdict.ok
        wrong = gateway.look(url.replace("http", "grpc"))
        assert (wrong.verdict, "takes no gRPC: UNAVAILABLE" in wrong.said) == (Verdict.error, True)
    finally:
        child.kill()
        other.kill()
    assert gateway.look(f"grpc://127.0.0.1:{free_port()}").verdict is Verdict.error
