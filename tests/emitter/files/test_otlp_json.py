"""OTLP/JSON that the emitter writes, against the protobuf library and our own reader of OTLP/JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from emitter.files import otlp_json
from stream.otlp import jsoncodec

U64 = st.integers(0, 2**64 - 1)
U32 = st.integers(0, 2**32 - 1)
TEXT = st.text(max_size=12)
FINITE = st.floats(allow_nan=False)
SCALARS = st.one_of(
    st.builds(lambda v: AnyValue(string_value=v), TEXT),
    st.builds(lambda v: AnyValue(bool_value=v), st.booleans()),
    st.builds(lambda v: AnyValue(int_value=v), st.integers(-(2**63), 2**63 - 1)),
    st.builds(lambda v: AnyValue(double_value=v), FINITE),
    st.builds(lambda v: AnyValue(bytes_value=v), st.binary(max_size=8)),
)


def _list(values: list[AnyValue]) -> AnyValue:
    made = AnyValue()
    made.array_value.values.extend(values)
    made.array_value.SetInParent()
    return made


def _map(pairs: list[KeyValue]) -> AnyValue:
    made = AnyValue()
    made.kvlist_value.values.extend(pairs)
    made.kvlist_value.SetInParent()
    return made


def _pairs(values: Any) -> Any:
    return st.lists(st.builds(lambda k, v: KeyValue(key=k, value=v), TEXT, values), max_size=3)


VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.builds(_list, st.lists(inner, max_size=2)), st.builds(_map, _pairs(inner))),
    max_leaves=4,
)
RECORDS = st.builds(
    LogRecord,
    time_unix_nano=U64, observed_time_unix_nano=U64, severity_number=st.integers(0, 24), severity_text=TEXT,
    body=VALUES, attributes=_pairs(VALUES), dropped_attributes_count=U32, flags=U32,
    trace_id=st.binary(max_size=16), span_id=st.binary(max_size=8), event_name=TEXT,
)  # fmt: skip
SPANS = st.builds(
    Span,
    trace_id=st.binary(max_size=16), span_id=st.binary(max_size=8), parent_span_id=st.binary(max_size=8),
    trace_state=TEXT, name=TEXT, kind=st.integers(0, 5), start_time_unix_nano=U64, end_time_unix_nano=U64,
    attributes=_pairs(VALUES), dropped_attributes_count=U32, flags=U32,
    events=st.lists(st.builds(
        lambda t, n, a: Span.Event(time_unix_nano=t, name=n, attributes=a), U64, TEXT, _pairs(VALUES)
    ), max_size=2),
    links=st.lists(st.builds(
        lambda i, s: Span.Link(trace_id=i, trace_state=s), st.binary(max_size=16), TEXT
    ), max_size=2),
)  # fmt: skip


@given(st.lists(RECORDS, max_size=3), _pairs(VALUES), TEXT)
def test_any_logs_request_reads_back_as_it_was(
    records: list[LogRecord], resource: list[KeyValue], schema: str
) -> None:
    """protobuf, our JSON, our reader: equal messages, and always one line of UTF-8."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add(schema_url=schema)
    group.resource.attributes.extend(resource)
    group.scope_logs.add(schema_url=schema).log_records.extend(records)

    line = otlp_json.line("logs", request.SerializeToString())

    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert jsoncodec.logs_from_json(line) == request


@given(st.lists(SPANS, max_size=3), TEXT)
def test_any_traces_request_reads_back_as_it_was(spans: list[Span], name: str) -> None:
    """The same for spans, with their events, links and status."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    scope.scope.name = name
    for span in spans:
        span.status.code = Status.STATUS_CODE_ERROR
        span.status.message = name
    scope.spans.extend(spans)

    assert jsoncodec.spans_from_json(otlp_json.line("traces", request.SerializeToString())) == request


@pytest.mark.parametrize(
    ("value", "text"), [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity")]
)
def test_numbers_that_are_not_finite_are_words(value: float, text: str) -> None:
    """As protobuf's JSON mapping has them."""
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add()
    record.body.double_value = value

    read = json.loads(otlp_json.line("logs", request.SerializeToString()))

    assert read["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["body"] == {"doubleValue": text}


def test_ids_are_hex_and_long_integers_strings() -> None:
    """What tells OTLP/JSON apart from protobuf's own."""
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.start_time_unix_nano = bytes(range(16)), bytes(range(8)), 2**63

    read = json.loads(otlp_json.line("traces", request.SerializeToString()))

    assert read["resourceSpans"][0]["scopeSpans"][0]["spans"][0] == {
        "traceId": "000102030405060708090a0b0c0d0e0f", "spanId": "0001020304050607",
        "startTimeUnixNano": str(2**63),
    }  # fmt: skip


def test_what_is_no_request_is_refused() -> None:
    """Half a message raises instead of giving half a line."""
    with pytest.raises(ValueError, match="cut off"):
        otlp_json.line("logs", b"\n\x10abc")
