"""The other side of OTLP/gRPC, for tests: the real services, and a relay that counts bytes."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


class Collector(
    logs_service_pb2_grpc.LogsServiceServicer,
    trace_service_pb2_grpc.TraceServiceServicer,
    metrics_service_pb2_grpc.MetricsServiceServicer,
):
    """The three services; ``answer`` may abort a call, ``rejected`` makes the success a partial one."""

    def __init__(self) -> None:
        self.logs: list[logs_service_pb2.ExportLogsServiceRequest] = []
        self.spans: list[trace_service_pb2.ExportTraceServiceRequest] = []
        self.metrics: list[metrics_service_pb2.ExportMetricsServiceRequest] = []
        self.metadata: dict[str, str] = {}
        self.answer: Callable[[Any], None] = lambda context: None
        self.rejected = 0

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        """One request of any service."""
        self.metadata = dict(context.invocation_metadata())
        self.answer(context)
        if isinstance(request, logs_service_pb2.ExportLogsServiceRequest):
            self.logs.append(request)
            logs = logs_service_pb2.ExportLogsPartialSuccess(rejected_log_records=self.rejected)
            return logs_service_pb2.ExportLogsServiceResponse(partial_success=logs if self.rejected else None)
        if isinstance(request, metrics_service_pb2.ExportMetricsServiceRequest):
            self.metrics.append(request)
            return metrics_service_pb2.ExportMetricsServiceResponse()
        self.spans.append(request)
        spans = trace_service_pb2.ExportTracePartialSuccess(rejected_spans=self.rejected)
        return trace_service_pb2.ExportTraceServiceResponse(partial_success=spans if self.rejected else None)

    def records(self, name: str) -> list[Any]:
        """Log records of this event name."""
        return [
            record
            for request in self.logs
            for group in request.resource_logs
            for scope in group.scope_logs
            for record in scope.log_records
            if record.event_name == name
        ]


def serve(collector: Collector, port: int, credentials: Any = None) -> Any:
    """A running server; stop(None).wait() ends it."""
    server = grpc.server(ThreadPoolExecutor(2))
    logs_service_pb2_grpc.add_LogsServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    place = f"127.0.0.1:{port}"
    if credentials is None:
        server.add_insecure_port(place)
    else:
        server.add_secure_port(place, credentials)
    server.start()
    return server


class Relay:
    """A TCP relay that counts the bytes to the collector."""

    def __init__(self, port: int) -> None:
        relay = self
        self.bytes = 0

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with socket.create_connection(("127.0.0.1", port)) as onward:
                    back = threading.Thread(target=_pump, args=(onward, self.request, lambda size: None))
                    back.start()
                    _pump(self.request, onward, relay._count)
                    back.join()

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> Relay:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _count(self, size: int) -> None:
        self.bytes += size


def _pump(source: Any, target: Any, count: Callable[[int], None]) -> None:
    try:
        while data := source.recv(65536):
            count(len(data))
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return
