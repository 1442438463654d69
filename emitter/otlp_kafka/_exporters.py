"""The exporters: OpenTelemetry's interfaces and encoder in front of a Delivery."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from emitter.kafka.writer import Message
from emitter.otlp_kafka._delivery import Delivery
from emitter.otlp_kafka._options import Plan, plan

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from emitter.otlp_kafka._options import Options

R = TypeVar("R")


class KafkaLogExporter(LogRecordExporter):
    """Log records to ``otlp_logs``, one message a batch; ``by_trace`` keys them by trace id instead.

    ``brokers`` is ``host:port[,host:port]``; raises KafkaSettingError for a bad setting.
    """

    def __init__(
        self, brokers: str | None = None, *, by_trace: bool = False, **options: Unpack[Options]
    ) -> None:
        self._plan, self._by_trace = plan("logs", brokers, options), by_trace
        self._delivery = Delivery(self._plan)

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Encode and write; blocks for the timeout at most."""
        keyed = _grouped(batch, self._key)
        messages = [Message(key, encode_logs(group).SerializeToString()) for key, group in keyed.items()]
        sent = self._delivery.deliver(messages)
        return LogRecordExportResult.SUCCESS if sent else LogRecordExportResult.FAILURE

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """True when no export is under way any more."""
        return self._delivery.flush(timeout_millis / 1000)

    def shutdown(self, timeout_millis: float = 30_000) -> None:
        """Let an export under way end in time, and close the connections."""
        self._delivery.close(timeout_millis / 1000)

    def _key(self, record: ReadableLogRecord) -> bytes | None:
        if self._by_trace:
            return _trace_key(record.log_record.trace_id)
        return _resource_key(self._plan, record.resource)


class KafkaSpanExporter(SpanExporter):
    """Spans to ``otlp_spans``, one message a batch; ``by_trace`` writes one message a trace, keyed by its id.

    ``brokers`` is ``host:port[,host:port]``; raises KafkaSettingError for a bad setting.
    """

    def __init__(
        self, brokers: str | None = None, *, by_trace: bool = False, **options: Unpack[Options]
    ) -> None:
        self._plan, self._by_trace = plan("traces", brokers, options), by_trace
        self._delivery = Delivery(self._plan)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Encode and write; blocks for the timeout at most."""
        keyed = _grouped(spans, self._key)
        messages = [Message(key, encode_spans(group).SerializeToString()) for key, group in keyed.items()]
        sent = self._delivery.deliver(messages)
        return SpanExportResult.SUCCESS if sent else SpanExportResult.FAILURE

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """True when no export is under way any more."""
        return self._delivery.flush(timeout_millis / 1000)

    def shutdown(self, timeout_millis: float = 30_000) -> None:
        """Let an export under way end in time, and close the connections."""
        self._delivery.close(timeout_millis / 1000)

    def _key(self, span: ReadableSpan) -> bytes | None:
        if self._by_trace:
            return _trace_key(span.context.trace_id)
        return _resource_key(self._plan, span.resource)


class KafkaMetricExporter(MetricExporter):
    """Metrics to ``otlp_metrics``, one message a collection.

    ``preferred_temporality`` and ``preferred_aggregation`` are the SDK's own; ``brokers`` is
    ``host:port[,host:port]``; raises KafkaSettingError for a bad setting.
    """

    def __init__(
        self,
        brokers: str | None = None,
        *,
        preferred_temporality: dict[type, Any] | None = None,
        preferred_aggregation: dict[type, Any] | None = None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(preferred_temporality, preferred_aggregation)
        self._plan = plan("metrics", brokers, options)
        self._delivery = Delivery(self._plan)

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Encode and write; blocks for the timeout at most."""
        keyed = _grouped(metrics_data.resource_metrics, lambda one: _resource_key(self._plan, one.resource))
        messages = [
            Message(key, encode_metrics(MetricsData(group)).SerializeToString())
            for key, group in keyed.items()
        ]
        sent = self._delivery.deliver(messages)
        return MetricExportResult.SUCCESS if sent else MetricExportResult.FAILURE

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """True when no export is under way any more."""
        return self._delivery.flush(timeout_millis / 1000)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Let an export under way end in time, and close the connections."""
        self._delivery.close(timeout_millis / 1000)


def _grouped(batch: Sequence[R], key: Callable[[R], bytes | None]) -> dict[bytes | None, list[R]]:
    """What shares a key goes into one message."""
    groups: dict[bytes | None, list[R]] = {}
    for record in batch:
        groups.setdefault(key(record), []).append(record)
    return groups


def _trace_key(trace_id: int | None) -> bytes | None:
    """32 hexadecimal digits, as the Collector's ``partition_traces_by_id`` has it."""
    return f"{trace_id:032x}".encode() if trace_id else None


def _resource_key(chosen: Plan, resource: Resource) -> bytes | None:
    if chosen.key_attribute is None:
        return chosen.key
    value = resource.attributes.get(chosen.key_attribute)
    return None if value is None else str(value).encode()
