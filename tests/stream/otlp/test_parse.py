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
