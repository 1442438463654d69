"""An HTTP relay before ClickHouse that can break an insert: before it arrives, or before its answer does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Literal
from urllib.parse import unquote_plus

from tests.fixtures import http_request

Fault = Literal["refused", "lost"]
"""``refused``: 503 and nothing was stored; ``lost``: it was stored, and the sink hears 500 or nothing."""


class Relay:
    """``faults``: what happens to the next inserts into the table; ``hook`` runs before a lost answer."""

    def __init__(self, target: str, table: str) -> None:
        self.target, self.table = target, table
        self.faults: list[Fault] = []
        self.silent = False
        self.hook: Callable[[], None] = lambda: None


@contextmanager
def relaying(target: str, table: str) -> Iterator[tuple[str, Relay]]:
    """The URL of a relay to this endpoint (scheme, host and port), and its settings."""
    relay = Relay(target, table)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = self._chunks()
            fault = self._fault(body)
            if fault == "refused":
                self._answer(503, b"try again")
                return
            dropped = {"host", "content-length", "transfer-encoding", "accept-encoding"}
            headers = {n: v for n, v in self.headers.items() if n.lower() not in dropped}
            try:
                got = http_request(self.command, relay.target + self.path, body, headers)
            except OSError:
                self.close_connection = True
                return
            if fault == "lost":
                relay.hook()
                if relay.silent:
                    self.close_connection = True
                else:
                    self._answer(500, b"something broke")
                return
            self._answer(got.status, got.body, got.headers)

        do_GET = do_POST  # noqa: N815 - http.server's name

        def _fault(self, body: bytes) -> Fault | None:
            query = unquote_plus(self.path) + body[:500].decode("utf-8", "replace")
            if relay.faults and re.search(rf"INSERT INTO \S*\b{relay.table}\b", query):
                return relay.faults.pop(0)
            return None

        def _chunks(self) -> bytes:
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                if name.startswith("x-clickhouse") or name in ("content-type", "content-encoding"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", relay
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
