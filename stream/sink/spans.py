"""Topic otlp_spans to rows of otel_traces."""

from __future__ import annotations

from typing import Final

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from stream.otlp import resources
from stream.otlp.parse import parse_spans
from stream.sink import tables
from stream.sink.logs import Pairs, pairs
from stream.sink.recent import Recent
from stream.sink.records import Record, moment
from stream.sink.rows import Rows
from stream.sink.tables import Row

# As the Collector's exporter spells them.
_KINDS: Final = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
_STATUS: Final = ("Unset", "Ok", "Error")


def add_spans(record: Record, rows: Rows, recent: Recent) -> None:
    """The spans of one request. Raises OtlpError where the bytes are none."""
    for group in parse_spans(record.value).resource_spans:
        resource = resources.sender(group.resource, None).resource
        resource_pairs = pairs(group.resource.attributes)
        for scope in group.scope_spans:
            for span in scope.spans:
                if recent.new_span(resource.emitter or "", span.trace_id + span.span_id):
                    row = _row(record, resource.service or "", resource_pairs, scope.scope, span)
                    rows.add(tables.OTEL_TRACES, row)
                else:
                    rows.duplicates += 1


def _row(record: Record, service: str, resource: Pairs, scope: InstrumentationScope, span: Span) -> Row:
    time = moment(span.start_time_unix_nano, span.end_time_unix_nano, record.time)
    return (
        time, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(), span.trace_state, span.name,
        _word(_KINDS, span.kind), service, resource, scope.name, scope.version, pairs(span.attributes),
        max(0, span.end_time_unix_nano - span.start_time_unix_nano),
        _word(_STATUS, span.status.code), span.status.message,
        [moment(event.time_unix_nano, time) for event in span.events],
        [event.name for event in span.events],
        [pairs(event.attributes) for event in span.events],
        [link.trace_id.hex() for link in span.links],
        [link.span_id.hex() for link in span.links],
        [link.trace_state for link in span.links],
        [pairs(link.attributes) for link in span.links],
        *record.source,
    )  # fmt: skip


def _word(words: tuple[str, ...], number: int) -> str:
    return words[number] if 0 <= number < len(words) else words[0]
