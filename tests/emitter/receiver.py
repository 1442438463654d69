"""A real OTLP/HTTP receiver on a real socket, whose answers a test chooses."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Receiver:
    """``status`` is answered to every request; ``hang`` holds answers back until it is set free."""

    def __init__(self, status: int = 200, *, hang: bool = False, port: int = 0) -> None:
        self.status = status
        self.headers: list[dict[str, str]] = []
        self.requests = 0
        self.free = threading.Event()
        if not hang:
            self.free.set()
        self.others: dict[str, list[bytes]] = {}
        """Bodies by path, of all requests that are not of logs."""
        self._logs: list[ExportLogsServiceRequest] = []
        self._spans: list[ExportTraceServiceRequest] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.free.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def records(self, name: str | None = None) -> list[LogRecord]:
        """All log records that were accepted, of one event name where it is given."""
        found = [
            record
            for request in self._logs
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]
        return [record for record in found if name in (None, record.event_name)]

    def spans(self) -> list[Span]:
        """All spans that were accepted."""
        return [
            span
            for request in self._spans
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def resource(self) -> dict[str, Any]:
        """The resource attributes of the first request."""
        return attributes(self._logs[0].resource_logs[0].resource)

    def _take(self, path: str, body: bytes) -> None:
        if path == "/v1/logs":
            self._logs.append(ExportLogsServiceRequest.FromString(body))
            return
        self.others.setdefault(path, []).append(body)
        if path == "/v1/traces":
            self._spans.append(ExportTraceServiceRequest.FromString(body))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests += 1
                receiver.headers.append(dict(self.headers))
                receiver.free.wait()
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                if receiver.status == 200:
                    receiver._take(self.path, body)
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Quiet."""

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except OSError:  # the other side gave up waiting
                    self.close_connection = True

        return Handler


def attributes(holder: Any) -> dict[str, Any]:
    """Attributes of a record, span or resource as Python values."""
    return {pair.key: value(pair.value) for pair in holder.attributes}


def value(any_value: AnyValue) -> Any:
    kind = any_value.WhichOneof("value")
    return None if kind is None else getattr(any_value, kind)
