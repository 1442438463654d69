"""Protobuf bytes to requests."""

from __future__ import annotations

import gzip

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from stream.otlp import parse


def _request(body: str = "x") -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add().body.string_value = body
    return request


def test_bytes_become_the_request_they_were() -> None:
    """Parsing is the inverse of serializing."""
    assert parse.parse_logs(_request().SerializeToString()) == _request()


def test_no_bytes_are_an_empty_request() -> None:
    """Zero bytes are valid protobuf for all three signals."""
    assert not parse.parse_logs(b"").resource_logs
    assert not parse.parse_spans(b"").resource_spans
    assert not parse.parse_metrics(b"").resource_metrics


def test_a_record_may_hold_json() -> None:
    """What a Collector writes as otlp_json is read as what it writes as otlp_proto."""
    log = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"}}]}]}]}'
    assert parse.parse_logs(log) == _request()
    span = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"spanId":"00000000000000ab"}]}]}]}'
    (found,) = parse.parse_spans(span).resource_spans[0].scope_spans[0].spans
    assert found.span_id == b"\0" * 7 + b"\xab"
    point = b'{"asInt":"7"}'
    gauge = b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[%b]}}]}]}]}' % point
    (metric,) = parse.parse_metrics(gauge).resource_metrics[0].scope_metrics[0].metrics
    assert metric.gauge.data_points[0].as_int == 7
    with pytest.raises(parse.OtlpError, match="in JSON: Input data was truncated"):
        parse.parse_logs(log[:-1])


def test_protobuf_that_looks_like_json_is_protobuf() -> None:
    """A request whose first part is 123 bytes long begins with a line feed and a brace."""
    body = next(text for n in range(123) if len((_request(text := "x" * n)).SerializeToString()) == 125)
    payload = _request(body).SerializeToString()
    assert payload.startswith(b"\n{")
    assert parse.parse_logs(payload) == _request(body)


@pytest.mark.parametrize(
    ("payload", "hint"),
    [
        (gzip.compress(b"x", mtime=0), "look like gzip: decompress them, or say Content-Encoding: gzip"),
        (b' {"resourceLogs": []}', "look like JSON: say Content-Type: application/json"),
        (b"\xff\xff\xff", "truncated, not OTLP"),
        (_request().SerializeToString()[:-1], "truncated, not OTLP"),
        (_request("ab").SerializeToString().replace(b"ab", b"\xff\xfe"), "a string in them is not UTF-8"),
    ],
)
def test_other_bytes_are_one_clear_error(payload: bytes, hint: str) -> None:
    """The error says what was expected, how much came, and what it looks like."""
    with pytest.raises(
        parse.OtlpError, match=f"ExportLogsServiceRequest in protobuf, got {len(payload)} bytes .*{hint}"
    ):
        parse.parse_logs(payload)
