"""Spans to rows."""

from __future__ import annotations

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from emitter.vocabulary import topics
from stream.sink.collect import collect
from stream.sink.recent import Recent
from tests.stream.sink.build import RESOURCE, T0, listed, put, record, rows_of, spans


def save(span_id: bytes = b"\x02" * 8, start: int = T0, end: int = T0 + 1_500) -> Span:
    span = Span(
        trace_id=b"\x01" * 16, span_id=span_id, parent_span_id=b"\x03" * 8, name="checkpoint.save",
        kind=Span.SPAN_KIND_INTERNAL, start_time_unix_nano=start, end_time_unix_nano=end,
        status=Status(code=Status.STATUS_CODE_ERROR, message="disk full"), trace_state="a=b",
    )  # fmt: skip
    put(span.attributes, {"checkpoint.step": 7, "checkpoint.path": "/x"})
    put(span.events.add(time_unix_nano=start + 1, name="written").attributes, {"bytes": 5})
    put(span.links.add(trace_id=b"\x04" * 16, span_id=b"\x05" * 8).attributes, {"why": "retry"})
    return span


def test_a_span_is_a_row_in_the_exporters_columns() -> None:
    """Ids in hex, duration in nanoseconds, events and links as nested columns."""
    (row,) = listed(rows_of(record(spans(save()), topics.OTLP_SPANS)).arrow()["otel_traces"])

    nested = {name: row.pop(name) for name in list(row) if "." in name}
    assert row == {
        "Timestamp": T0, "TraceId": "01" * 16, "SpanId": "02" * 8, "ParentSpanId": "03" * 8,
        "TraceState": "a=b", "SpanName": "checkpoint.save", "SpanKind": "Internal", "ServiceName": "trainer",
        "ResourceAttributes": sorted((key, str(value)) for key, value in RESOURCE.items()),
        "ScopeName": "emitter", "ScopeVersion": "1",
        "SpanAttributes": [("checkpoint.path", "/x"), ("checkpoint.step", "7")], "Duration": 1_500,
        "StatusCode": "Error", "StatusMessage": "disk full",
        "src_topic": "otlp_spans", "src_partition": 1, "src_offset": 7,
    }  # fmt: skip
    assert nested["Events.Name"] == ["written"]
    assert nested["Events.Attributes"] == [[("bytes", "5")]]
    assert nested["Links.TraceId"] == ["04" * 16]
    assert nested["Links.Attributes"] == [[("why", "retry")]]


def test_a_span_that_ends_before_it_starts_took_no_time() -> None:
    """A clock that went back does not make an enormous duration."""
    (row,) = listed(rows_of(record(spans(save(end=T0 - 5)), topics.OTLP_SPANS)).arrow()["otel_traces"])

    assert row["Duration"] == 0


def test_our_emitters_resent_span_is_stored_once() -> None:
    """By emitter and span id; spans of others are stored as they come."""
    recent = Recent()
    ours = collect([record(spans(save(), save()), topics.OTLP_SPANS)], recent)
    others = collect([record(spans(save(), save(), resource={}), topics.OTLP_SPANS)], recent)

    assert (ours.arrow()["otel_traces"].num_rows, ours.duplicates) == (1, 1)
    assert (others.arrow()["otel_traces"].num_rows, others.duplicates) == (2, 0)
