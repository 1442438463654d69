"""An OTLP/HTTP server in a process of its own, so that it shares no interpreter with what is measured."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

_bodies: Final[list[bytes]] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        _bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(json.dumps(_counted()).encode())

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _counted() -> dict[str, int]:
    """Log records that came, by event name. Parsed when asked, not while something is measured."""
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    return Counter(
        record.event_name
        for body in _bodies
        for group in ExportLogsServiceRequest.FromString(body).resource_logs
        for scope in group.scope_logs
        for record in scope.log_records
    )


@dataclass(frozen=True)
class Sink:
    """A server that runs: its URL, without ``/v1/logs``."""

    url: str

    def counts(self) -> dict[str, int]:
        """How many log records of each event name have come."""
        with urllib.request.urlopen(self.url, timeout=60) as answer:
            found: dict[str, int] = json.load(answer)
        return found


@contextmanager
def sink() -> Iterator[Sink]:
    """A server, while it is needed."""
    command = [sys.executable, "-m", "bench.sink"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield Sink(f"http://127.0.0.1:{int(process.stdout.readline())}")
        process.terminate()


def main() -> None:
    """Print the port and serve until terminated."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
