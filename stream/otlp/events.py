"""OTLP log records, spans and metric points as events of runs: what ingest makes of a Kafka record."""

from __future__ import annotations

from typing import Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from emitter.vocabulary import attributes
from emitter.vocabulary import events as vocabulary
from stream.events import Event
from stream.otlp import anyvalue, points
from stream.otlp.layout import EPOCH_VALUE
from stream.otlp.resources import Sender, sender
from stream.otlp.runs import Grouping, RunEvents

__all__ = ["RunEvents", "events_from_logs", "events_from_metrics", "events_from_spans"]

DURATION: Final = "duration"
"""Value of a span's event: seconds from start to end."""

_STATUS: Final = ("unset", "ok", "error")


def events_from_logs(request: ExportLogsServiceRequest, gateway: str | None = None) -> list[RunEvents]:
    """One event for each log record. Its time is the record's own, else when it was observed, else 0."""
    grouping = Grouping()
    for group in request.resource_logs:
        source = sender(group.resource, gateway)
        target, index = grouping.place(source.resource)
        for scope in group.scope_logs:
            read = source.layouts.read
            target.extend(
                [read(record, index) or _from_record(record, source, index) for record in scope.log_records]
            )
    return grouping.result()


def events_from_spans(request: ExportTraceServiceRequest, gateway: str | None = None) -> list[RunEvents]:
    """One event for each span: its attributes as values, and ``duration`` in seconds."""
    grouping = Grouping()
    for group in request.resource_spans:
        source = sender(group.resource, gateway)
        target, index = grouping.place(source.resource)
        for scope in group.scope_spans:
            target.extend([_from_span(span, index) for span in scope.spans])
    return grouping.result()


def events_from_metrics(request: ExportMetricsServiceRequest, gateway: str | None = None) -> list[RunEvents]:
    """One event ``metric`` for each data point; see ``points``."""
    grouping = Grouping()
    for group in request.resource_metrics:
        source = sender(group.resource, gateway)
        target, index = grouping.place(source.resource)
        for scope in group.scope_metrics:
            for metric in scope.metrics:
                target.extend(points.events_of(metric, index))
    return grouping.result()


def _from_record(record: LogRecord, source: Sender, index: int) -> Event:
    values = anyvalue.scalars(record.attributes)
    seq = anyvalue.integer(values.pop(attributes.SEQ, None))
    step = anyvalue.integer(values.pop(attributes.STEP, None))
    epoch = anyvalue.number(values.pop(attributes.EPOCH, None))
    metric, values = points.of_record(record.event_name, values)
    if metric is None:  # attributes of a point are no metrics, whatever they are called
        values = source.canonical(values)
    if EPOCH_VALUE in values:
        logged = anyvalue.number(values.pop(EPOCH_VALUE))
        epoch = logged if epoch is None else epoch
    return Event(
        record.event_name or vocabulary.LOG,
        record.time_unix_nano or record.observed_time_unix_nano,
        index,
        seq,
        step,
        epoch,
        record.severity_number,
        anyvalue.text(anyvalue.scalar(record.body)) if record.HasField("body") else None,
        values,
        metric=metric,
    )


def _from_span(span: Span, index: int) -> Event:
    values = anyvalue.scalars(span.attributes)
    step = anyvalue.integer(values.pop(attributes.STEP, None))
    epoch = anyvalue.number(values.pop(attributes.EPOCH, None))
    values[DURATION] = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9
    code = span.status.code
    return Event(
        name=span.name,
        time=span.start_time_unix_nano,
        resource=index,
        step=step,
        epoch=epoch,
        body=span.status.message or None,
        values=values,
        end=span.end_time_unix_nano,
        status=_STATUS[code] if 0 <= code < len(_STATUS) else _STATUS[0],
    )
