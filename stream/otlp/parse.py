"""OTLP export requests from protobuf bytes (an ``otlp_proto`` Kafka record holds the same bytes)."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

M = TypeVar("M", bound=Message)


class OtlpError(ValueError):
    """The bytes are not an OTLP export request; the message says what was expected and what came."""


def parse_logs(payload: bytes) -> ExportLogsServiceRequest:
    """A logs request. Raises OtlpError."""
    return parse(ExportLogsServiceRequest, payload)


def parse_spans(payload: bytes) -> ExportTraceServiceRequest:
    """A traces request. Raises OtlpError."""
    return parse(ExportTraceServiceRequest, payload)


def parse_metrics(payload: bytes) -> ExportMetricsServiceRequest:
    """A metrics request. Raises OtlpError."""
    return parse(ExportMetricsServiceRequest, payload)


def parse(kind: type[M], payload: bytes) -> M:
    """A request of this type. Raises OtlpError."""
    try:
        return kind.FromString(payload)
    except DecodeError:
        raise OtlpError(
            f"expected an {kind.__name__} in protobuf, got {len(payload)} bytes that do not parse "
            f"({_suspicion(payload)})"
        ) from None


def _suspicion(payload: bytes) -> str:
    if payload[:2] == b"\x1f\x8b":
        return "they look like gzip: decompress them, or say Content-Encoding: gzip"
    if payload.lstrip()[:1] == b"{":
        return "they look like JSON: say Content-Type: application/json"
    return "truncated, not OTLP, or a string in them is not UTF-8"
