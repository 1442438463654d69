"""OTLP export requests from the bytes of a Kafka record: a Collector's ``otlp_proto`` or ``otlp_json``."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from stream.otlp import jsoncodec
from stream.otlp.errors import OtlpError

__all__ = ["OtlpError", "parse", "parse_logs", "parse_metrics", "parse_spans"]

M = TypeVar("M", bound=Message)


def parse_logs(payload: bytes) -> ExportLogsServiceRequest:
    """A logs request. Raises OtlpError."""
    return _either(ExportLogsServiceRequest, payload)


def parse_spans(payload: bytes) -> ExportTraceServiceRequest:
    """A traces request. Raises OtlpError."""
    return _either(ExportTraceServiceRequest, payload)


def parse_metrics(payload: bytes) -> ExportMetricsServiceRequest:
    """A metrics request. Raises OtlpError."""
    return _either(ExportMetricsServiceRequest, payload)


def _either(kind: type[M], payload: bytes) -> M:
    # No field of a request has the tag that "{" would be. White space before it has: a line feed is a tag.
    return jsoncodec.request(kind, payload) if payload.startswith(b"{") else parse(kind, payload)


def parse(kind: type[M], payload: bytes) -> M:
    """A request of this type, in protobuf. Raises OtlpError."""
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
