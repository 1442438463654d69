"""A bare OTLP/HTTP receiver: the far end of an export, with what came."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)


class Receiver:
    """``requests`` as they were decoded, ``headers`` of each, ``paths``."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.url = ""

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        """One request."""
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.paths.append(path)
        self.headers.append(headers)
        self.requests.append(ExportMetricsServiceRequest.FromString(body))

    def points(self, name: str) -> dict[tuple[tuple[str, str], ...], Any]:
        """The points of a metric in the newest request, by their attributes."""
        found = {}
        for resource in self.requests[-1].resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == name:
                        for point in getattr(metric, metric.WhichOneof("data")).data_points:
                            found[_pairs(point.attributes)] = point
        return found

    def resource(self) -> dict[str, str]:
        """The resource attributes of the newest request."""
        return dict(_pairs(self.requests[-1].resource_metrics[0].resource.attributes))


def _pairs(attributes: Any) -> tuple[tuple[str, str], ...]:
    return tuple((one.key, str(getattr(one.value, one.value.WhichOneof("value")))) for one in attributes)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port of the loopback."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.take(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def receiving_grpc() -> Iterator[Receiver]:
    """The same over gRPC."""
    receiver = Receiver()

    def export(request: Any, context: Any) -> Any:
        headers = {key: str(value) for key, value in context.invocation_metadata()}
        receiver.take("Export", headers, request)
        return ExportMetricsServiceResponse()

    method = grpc.unary_unary_rpc_method_handler(
        export, response_serializer=ExportMetricsServiceResponse.SerializeToString
    )
    service = "opentelemetry.proto.collector.metrics.v1.MetricsService"
    with ThreadPoolExecutor(2) as threads:
        server = grpc.server(threads)
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {"Export": method})])
        receiver.url = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        try:
            yield receiver
        finally:
            server.stop(None).wait()
