"""What is made of the pages of a local stack's parts."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stream.doctor import Verdict
from stream.doctor.parts import look
from tests.fixtures import free_port

LAG = """# TYPE trainwarden_consumer_lag gauge
trainwarden_consumer_lag{partition="0",topic="otlp_logs"} 3.0
trainwarden_consumer_lag{partition="1",topic="otlp_logs"} 4.0
# TYPE trainwarden_consumer_behind_seconds gauge
trainwarden_consumer_behind_seconds{partition="0",topic="otlp_logs"} 1.25
"""
PAGES = {
    "/well/healthz": (200, '{"status": "ok"}'),
    "/well/readyz": (200, '{"ready": true}'),
    "/well/metrics": (200, LAG),
    "/stuck/healthz": (503, json.dumps({"status": "stuck", "reason": "otlp_logs[1]: 9 records wait"})),
    "/early/healthz": (200, "ok"),
    "/early/readyz": (503, json.dumps({"ready": False, "problem": "no broker"})),
    "/bare/healthz": (200, "ok"),
    "/bare/readyz": (200, "ok"),
}


class Pages(BaseHTTPRequestHandler):
    """Those above; what is not there is 404."""

    def do_GET(self) -> None:
        status, body = PAGES.get(self.path, (404, "nothing"))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_all_is_well(url: str) -> None:
    """One line, with how far the workers are behind that say so."""
    health = {"worker-loop": f"{url}/well", "worker-history": f"{url}/bare", "viewer": f"{url}/bare"}
    (found,) = look({"health": health})
    assert found.verdict is Verdict.ok
    assert found.said == "all 3 are ready; worker-loop: 7 records before it, 1.2 s behind"


def test_each_trouble_has_a_line_and_a_cure(url: str) -> None:
    """Stuck, not ready, not there."""
    gone = f"http://127.0.0.1:{free_port()}"
    health = {
        "viewer": f"{url}/well",
        "worker-loop": f"{url}/stuck",
        "gateway": f"{url}/early",
        "clickhouse": gone,
    }
    stuck, early, away = look({"health": health})
    assert stuck.said == "worker-loop is stuck: otlp_logs[1]: 9 records wait"
    assert stuck.cure.startswith("restart it")
    assert early.said == "gateway is not ready: no broker"
    assert away.said.startswith("clickhouse does not answer: ")
    assert {stuck.verdict, early.verdict, away.verdict} == {Verdict.error}


def test_a_stack_that_says_nothing_of_health() -> None:
    """Of an older version: nothing is claimed."""
    assert list(look({})) == []
