"""The three OTLP signals: where each comes in, where it goes, and how its messages are called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

from emitter.vocabulary import topics
from stream.otlp import jsoncodec


@dataclass(frozen=True)
class Signal:
    """One signal. ``groups`` > ``scopes`` > ``records`` are the nested repeated fields of a request."""

    path: str
    service: str
    topic: str
    request: type[Any]
    response: type[Any]
    from_json: Callable[[bytes], Message]
    groups: str
    scopes: str
    records: str
    rejected: str

    def answer(self, rejected: int, reason: str) -> Any:
        """The response message; with a partial success when anything was rejected."""
        response = self.response()
        if rejected:
            setattr(response.partial_success, self.rejected, rejected)
            response.partial_success.error_message = reason
        return response


SIGNALS: Final = (
    Signal(
        "/v1/logs", "opentelemetry.proto.collector.logs.v1.LogsService", topics.OTLP_LOGS,
        logs.ExportLogsServiceRequest, logs.ExportLogsServiceResponse, jsoncodec.logs_from_json,
        "resource_logs", "scope_logs", "log_records", "rejected_log_records",
    ),
    Signal(
        "/v1/traces", "opentelemetry.proto.collector.trace.v1.TraceService", topics.OTLP_SPANS,
        traces.ExportTraceServiceRequest, traces.ExportTraceServiceResponse, jsoncodec.spans_from_json,
        "resource_spans", "scope_spans", "spans", "rejected_spans",
    ),
    Signal(
        "/v1/metrics", "opentelemetry.proto.collector.metrics.v1.MetricsService", topics.OTLP_METRICS,
        metrics.ExportMetricsServiceRequest, metrics.ExportMetricsServiceResponse,
        jsoncodec.metrics_from_json,
        "resource_metrics", "scope_metrics", "metrics", "rejected_data_points",
    ),
)  # fmt: skip
