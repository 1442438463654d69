"""OTLP/JSON to messages, against an encoder written from the specification."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from stream.otlp import jsoncodec
from stream.otlp.parse import OtlpError

DECODERS = {
    ExportLogsServiceRequest: jsoncodec.logs_from_json,
    ExportTraceServiceRequest: jsoncodec.spans_from_json,
    ExportMetricsServiceRequest: jsoncodec.metrics_from_json,
}
HEX = {"trace_id", "span_id", "parent_span_id"}
RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
PATH = "resourceLogs[0].scopeLogs[0].logRecords[0]"


def to_json(message: Any) -> dict[str, Any]:
    """As the specification writes it: hex ids, 64-bit integers as strings, enums as numbers."""
    result: dict[str, Any] = {}
    for field, value in message.ListFields():
        items = [_to_json(field, item) for item in value] if field.is_repeated else _to_json(field, value)
        result[field.json_name] = items
    return result


def _to_json(field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is not None:
        return to_json(value)
    if isinstance(value, bytes):
        return value.hex() if field.name in HEX else base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    wide = field.cpp_type in (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64)
    return str(value) if wide else value


def _scalars(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values])
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=20)
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return st.text(max_size=8)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return st.booleans()
    if field.cpp_type in RANGES:
        low, high = RANGES[field.cpp_type]
        return st.integers(low, high)
    return st.floats(allow_nan=False) | st.just(math.nan)


@st.composite
def messages(draw: st.DrawFn, descriptor: Descriptor, depth: int = 0) -> dict[str, Any]:
    """Arguments for a message of this type, at most one field of each oneof."""
    result: dict[str, Any] = {}
    chosen = {oneof.name: draw(st.sampled_from(list(oneof.fields))).name for oneof in descriptor.oneofs}
    for field in descriptor.fields:
        if field.containing_oneof and chosen[field.containing_oneof.name] != field.name:
            continue
        if field.message_type is None:
            strategy = _scalars(field)
        elif depth < 9:
            strategy = messages(field.message_type, depth + 1)
        else:
            continue
        if field.is_repeated:
            result[field.name] = draw(st.lists(strategy, max_size=2))
        elif draw(st.booleans()):
            result[field.name] = draw(strategy)
    return result


@pytest.mark.parametrize("kind", DECODERS)
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_request_survives_the_way_through_json(kind: Any, data: st.DataObject) -> None:
    """Whatever the specification can write is read back as the same message."""
    message = kind(**data.draw(messages(kind.DESCRIPTOR)))
    decoded = DECODERS[kind](json.dumps(to_json(message)).encode())
    assert decoded.SerializeToString(deterministic=True) == message.SerializeToString(deterministic=True)


def _logs(record: str) -> bytes:
    return b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[%s]}]}]}' % record.encode()


def _record(text: str) -> Any:
    return jsoncodec.logs_from_json(_logs(text)).resource_logs[0].scope_logs[0].log_records[0]


def test_ids_are_hex() -> None:
    """Where protobuf's own JSON would make 24 wrong bytes, the id keeps its 16."""
    trace_id = "5B8EFFF798038103D269B633813FC60C"
    text = json.dumps({"traceId": trace_id, "spanId": "eee19b7ec3c1b174"})
    assert _record(text).trace_id == bytes.fromhex(trace_id)
    assert _record(text).span_id == bytes.fromhex("eee19b7ec3c1b174")
    wrong = json_format.Parse(_logs(text), ExportLogsServiceRequest())
    assert len(wrong.resource_logs[0].scope_logs[0].log_records[0].trace_id) == 24


@pytest.mark.parametrize("value", ["10", '"10"', "10.0"])
def test_integers_in_any_spelling(value: str) -> None:
    """64-bit integers come as strings or numbers."""
    record = _record(f'{{"timeUnixNano":{value},"body":{{"intValue":{value}}}}}')
    assert (record.time_unix_nano, record.body.int_value) == (10, 10)


@pytest.mark.parametrize("value", ["13", '"13"', '"SEVERITY_NUMBER_WARN"'])
def test_enums_as_number_or_name(value: str) -> None:
    """Enums come as numbers; names are taken too."""
    assert _record(f'{{"severityNumber":{value}}}').severity_number == 13


def test_unknown_keys_null_and_original_names() -> None:
    """Unknown keys are ignored, null is absent, snake_case names are taken."""
    record = _record('{"later":{"x":[1]},"body":null,"event_name":"e","flags":null}')
    assert (record.event_name, record.HasField("body"), record.flags) == ("e", False, 0)


def test_an_empty_value_is_still_a_value() -> None:
    """An empty string in a body is not the same as no body."""
    assert _record('{"body":{"stringValue":""}}').body.WhichOneof("value") == "string_value"
    assert _record('{"body":{}}').HasField("body")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("7", rf"{PATH}: expected an object, got 7"),
        ('{"timeUnixNano":"soon"}', rf"{PATH}.timeUnixNano: expected an integer, got 'soon'"),
        ('{"timeUnixNano":-1}', rf"{PATH}.timeUnixNano: Value out of range: -1"),
        ('{"timeUnixNano":true}', rf"{PATH}.timeUnixNano: expected an integer, got True"),
        ('{"timeUnixNano":99999999999999999999}', rf"{PATH}.timeUnixNano: .*out of range"),
        (
            '{"severityNumber":"LOUD"}',
            rf"{PATH}.severityNumber: expected a number or a name of SeverityNumber",
        ),
        ('{"traceId":"xyz"}', rf"{PATH}.traceId: expected an id in hex, got 'xyz'"),
        ('{"traceId":7}', rf"{PATH}.traceId: expected an id in hex, got 7"),
        ('{"eventName":["a"]}', rf"{PATH}.eventName: expected a string, got \['a'\]"),
        ('{"attributes":{"a":1}}', rf"{PATH}.attributes: expected an array, got {{'a': 1}}"),
        ('{"attributes":[{"key":1}]}', rf"{PATH}.attributes\[0\].key: expected a string, got 1"),
        ('{"body":{"doubleValue":"big"}}', rf"{PATH}.body.doubleValue: expected a number, \"NaN\""),
        ('{"body":{"doubleValue":[]}}', rf"{PATH}.body.doubleValue: expected a number, got \[\]"),
        ('{"body":{"boolValue":"yes"}}', rf"{PATH}.body.boolValue: expected true or false, got 'yes'"),
        ('{"body":{"bytesValue":"?"}}', rf"{PATH}.body.bytesValue: expected bytes in base64, got '\?'"),
    ],
)
def test_errors_name_the_place(record: str, message: str) -> None:
    """A value that does not fit is one error with its path, what was expected, and what came."""
    escaped = message.replace("[0]", r"\[0\]")
    with pytest.raises(OtlpError, match=escaped):
        jsoncodec.logs_from_json(_logs(record))


def test_lists_of_scalars_are_checked_too() -> None:
    """A bucket count that is no integer is named with its index."""
    points = [{"bucketCounts": ["1", "x"]}]
    metric = {"histogram": {"dataPoints": points}}
    payload = json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]})
    with pytest.raises(OtlpError, match=r"dataPoints\[0\].bucketCounts\[1\]: expected an integer, got 'x'"):
        jsoncodec.metrics_from_json(payload.encode())
    with pytest.raises(OtlpError, match=r"bucketCounts\[0\]: .*out of range"):
        jsoncodec.metrics_from_json(payload.replace('"1"', "-1").encode())


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff", b'{"resourceLogs":"\\ud800"}', b"NaN"])
def test_bytes_that_are_not_json(payload: bytes) -> None:
    """What is no JSON ends in one error that says so."""
    with pytest.raises(OtlpError, match="expected an ExportLogsServiceRequest in JSON: "):
        jsoncodec.logs_from_json(payload)


def test_another_kind_of_json() -> None:
    """JSON that is no object is refused."""
    with pytest.raises(OtlpError, match=r"the request: expected an object, got \[1\]"):
        jsoncodec.spans_from_json(b"[1]")


@pytest.mark.parametrize("depth", [50, 5_000, 200_000])
def test_nesting_without_end(depth: int) -> None:
    """Values nested deeper than readers of protobuf can follow are refused, without harm."""
    body = '{"arrayValue":{"values":[' * depth + "]}}" * depth
    with pytest.raises(OtlpError, match=r"inside each other, got more|nested too deeply"):
        jsoncodec.logs_from_json(_logs('{"body":' + body + "}"))


def test_nesting_that_is_taken_can_be_read_back() -> None:
    """The deepest value that is taken still parses as protobuf."""
    body = '{"arrayValue":{"values":[' * 40 + "]}}" * 40
    request = jsoncodec.logs_from_json(_logs('{"body":' + body + "}"))
    assert ExportLogsServiceRequest.FromString(request.SerializeToString()) == request
