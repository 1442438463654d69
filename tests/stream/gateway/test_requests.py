"""Requests and answers of a real gateway in front of a real broker."""

from __future__ import annotations

import gzip
import json
import socket
import uuid
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import zstandard
from aiokafka import ConsumerRecord
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

from emitter.vocabulary import topics
from stream.gateway.signals import SIGNALS, Signal
from stream.otlp import beacon, events, parse
from tests.fixtures import Answer, http_request, read_topic, start_gateway
from tests.fuzz.samples import SEEDS, as_json

pytestmark = pytest.mark.slow

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json; charset=utf-8"}
MAX_BODY = 3_000_000
COMPRESS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "identity": bytes, "gzip": gzip.compress, "deflate": zlib.compress, "zlib": zlib.compress,
    "zstd": zstandard.compress,
}  # fmt: skip


@pytest.fixture(scope="module")
def small(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway with a low limit for bodies."""
    log = tmp_path_factory.mktemp("gateway") / "log"
    child, url = start_gateway(log, broker, max_body_bytes=MAX_BODY)
    yield url
    assert child.stop() == 0


@pytest.fixture
def run() -> str:
    return f"run-{uuid.uuid4().hex}"


def _request(run: str, *bodies: str, emitter: str | None = None) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.add(key="train.run.id").value.string_value = run
    if emitter is not None:
        group.resource.attributes.add(key="train.emitter.id").value.string_value = emitter
    scope = group.scope_logs.add()
    for number, body in enumerate(bodies):
        scope.log_records.add(time_unix_nano=number + 1).body.string_value = body
    return request


def _arrived(broker: str, run: str, count: int) -> list[ConsumerRecord]:
    """The Kafka records of this run, once they hold so many log records."""
    return read_topic(
        broker, topics.OTLP_LOGS,
        enough=lambda found: sum(len(_events(record)) for record in found) >= count,
        wanted=lambda record: run.encode() in record.value,
    )  # fmt: skip


def _events(record: ConsumerRecord) -> list[Any]:
    groups = events.events_from_logs(parse.parse_logs(record.value))
    return [event for group in groups for event in group.events]


def _status(answer: Answer) -> tuple[int, str]:
    """(code, message) of the google.rpc.Status, whichever encoding the answer has."""
    if answer.headers["content-type"].startswith("application/json"):
        content = json.loads(answer.body)
        return content["code"], content["message"]
    status = Status.FromString(answer.body)
    return status.code, status.message


def _counts(url: str) -> dict[str, Any]:
    counts: dict[str, Any] = json.loads(http_request("GET", f"{url}/healthz").body)
    return counts


def test_acknowledged_bytes_are_in_kafka(broker: str, gateway: str, run: str) -> None:
    """The record holds the request's bytes, the emitter as key and the gateway in its headers."""
    payload = _request(run, "hello", emitter="emitter-1").SerializeToString()
    answer = http_request("POST", f"{gateway}/v1/logs", payload, PROTOBUF)
    assert (answer.status, answer.headers["content-type"], answer.body) == (
        200,
        PROTOBUF["Content-Type"],
        b"",
    )
    (record,) = _arrived(broker, run, 1)
    assert (record.value, record.key) == (payload, b"emitter-1")
    assert dict(record.headers)[topics.HEADER_GATEWAY].endswith(f":{urlsplit(gateway).port}".encode())


def test_json_becomes_protobuf(broker: str, gateway: str, run: str) -> None:
    """OTLP/JSON is answered in JSON and stored as protobuf, ids decoded from hex."""
    body = {
        "resourceLogs": [
            {
                "resource": {"attributes": [{"key": "train.run.id", "value": {"stringValue": run}}]},
                "scopeLogs": [{"logRecords": [{"timeUnixNano": "5", "traceId": "ab" * 16}]}],
            }
        ]
    }
    answer = http_request("POST", f"{gateway}/v1/logs", json.dumps(body).encode(), JSON)
    assert (answer.status, json.loads(answer.body)) == (200, {})
    assert answer.headers["content-type"].startswith("application/json")
    (record,) = _arrived(broker, run, 1)
    request = parse.parse_logs(record.value)
    assert request.resource_logs[0].scope_logs[0].log_records[0].trace_id == b"\xab" * 16


@pytest.mark.parametrize("signal", SIGNALS, ids=["logs", "traces", "metrics"])
@pytest.mark.parametrize("encoding", COMPRESS)
def test_every_signal_comes_in_both_forms_and_every_encoding(
    broker: str, gateway: str, run: str, signal: Signal, encoding: str
) -> None:
    """Protobuf and JSON of the same request, compressed or not, become the same message."""
    request = signal.request.FromString(SEEDS[signal.topic][0])
    pair = getattr(request, signal.groups)[0].resource.attributes.add(key="mark")
    pair.value.string_value = run
    for body, kind in ((request.SerializeToString(), PROTOBUF), (as_json(request), JSON)):
        headers = {**kind, "Content-Encoding": encoding}
        answer = http_request("POST", gateway + signal.path, COMPRESS[encoding](body), headers)
        assert (answer.status, answer.body) == (200, b"" if kind is PROTOBUF else b"{}")
    found = read_topic(
        broker, signal.topic, enough=lambda found: len(found) >= 2,
        wanted=lambda record: run.encode() in record.value,
    )  # fmt: skip
    first, second = (signal.request.FromString(record.value).SerializeToString() for record in found)
    assert first == second == request.SerializeToString()


def test_bombs_cost_no_memory(small: str) -> None:
    """Bodies that grow a thousandfold are given up at the limit, in whatever way they are compressed."""
    for encoding in ("gzip", "zlib", "zstd"):
        headers = {**PROTOBUF, "Content-Encoding": encoding}
        answer = http_request("POST", f"{small}/v1/logs", COMPRESS[encoding](bytes(50_000_000)), headers)
        assert answer.status == 413, encoding
        assert "once decompressed" in _status(answer)[1]


def test_large_requests_are_split(broker: str, gateway: str, run: str) -> None:
    """What one Kafka message cannot hold goes in several, in order, under one key."""
    bodies = [f"{number:06d}" + "x" * 200_000 for number in range(15)]
    payload = _request(run, *bodies, emitter="e").SerializeToString()
    compressed = {**PROTOBUF, "Content-Encoding": "gzip"}
    answer = http_request("POST", f"{gateway}/v1/logs", gzip.compress(payload), compressed)
    assert (answer.status, answer.body) == (200, b"")
    records = _arrived(broker, run, 15)
    assert len(records) == 4
    assert len({record.partition for record in records}) == 1
    assert [event.body for record in records for event in _events(record)] == bodies


@pytest.mark.parametrize("encoding", [PROTOBUF, JSON])
def test_a_record_too_large_is_a_partial_success(
    broker: str, gateway: str, run: str, encoding: dict[str, str]
) -> None:
    """The client learns how many records were rejected and why; the others arrive."""
    request = _request(run, "small", "x" * 1_100_000)
    text = [{"body": {"stringValue": "small"}}, {"body": {"stringValue": "x" * 1_100_000}}]
    resource = {"attributes": [{"key": "train.run.id", "value": {"stringValue": run}}]}
    body = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": text}]}]}
    payload = request.SerializeToString() if encoding is PROTOBUF else json.dumps(body).encode()
    answer = http_request("POST", f"{gateway}/v1/logs", payload, encoding)
    assert answer.status == 200
    if encoding is PROTOBUF:
        partial = ExportLogsServiceResponse.FromString(answer.body).partial_success
        rejected, message = partial.rejected_log_records, partial.error_message
    else:
        content = json.loads(answer.body)["partialSuccess"]
        rejected, message = int(content["rejectedLogRecords"]), content["errorMessage"]
    assert rejected == 1
    assert "does not fit into a message of 1000000 bytes" in message
    (record,) = _arrived(broker, run, 1)
    assert [event.body for event in _events(record)] == ["small"]


@pytest.mark.parametrize(
    ("payload", "headers", "message"),
    [
        (b"\xff\xff", PROTOBUF, "expected an ExportLogsServiceRequest in protobuf, got 2 bytes"),
        (b"{", JSON, "expected an ExportLogsServiceRequest in JSON"),
        (b'{"resourceLogs":7}', JSON, "body: resourceLogs: expected an array, got 7"),
        (
            b"plain",
            {**PROTOBUF, "Content-Encoding": "gzip"},
            "expected gzip, got bytes that do not decompress",
        ),
    ],
)
def test_malformed_requests(gateway: str, payload: bytes, headers: dict[str, str], message: str) -> None:
    """Each is answered 400 with one clear message in its own encoding, and counted."""
    before = _counts(gateway)
    answer = http_request("POST", f"{gateway}/v1/logs", payload, headers)
    assert answer.status == 400
    assert answer.headers["content-type"].split(";")[0] == headers["Content-Type"].split(";")[0]
    code, text = _status(answer)
    assert code == 3
    assert message in text
    after = _counts(gateway)
    assert (after["malformed"], after["messages"]) == (before["malformed"] + 1, before["messages"])


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "message"),
    [
        ("POST", "/v1/profiles", PROTOBUF, 404, "OTLP is taken by POST at /v1/logs, /v1/traces, /v1/metrics"),
        ("GET", "/v1/logs", {}, 405, "GET /v1/logs: Method Not Allowed"),
        ("POST", "/v1/logs", {"Content-Type": "text/plain"}, 415, "got 'text/plain'"),
        ("POST", "/v1/logs", {}, 415, "expected application/x-protobuf or application/json"),
        ("POST", "/v1/logs", {"Content-Type": "application/json; charset=latin-1"}, 415, "charset 'latin-1'"),
        ("POST", "/v1/logs", {**PROTOBUF, "Content-Encoding": "br"}, 415, "one of identity, gzip, deflate"),
    ],
)
def test_requests_of_the_wrong_kind(
    gateway: str, method: str, path: str, headers: dict[str, str], status: int, message: str
) -> None:
    """Path, method, type and encoding that the gateway does not have are named."""
    answer = http_request(method, gateway + path, b"x" if method == "POST" else None, headers)
    assert answer.status == status
    assert message in _status(answer)[1]


def test_bodies_above_the_limit(small: str) -> None:
    """Too long as it comes, announced or not, and too long once decompressed: 413."""
    large = bytes(MAX_BODY + 1)
    compressed = {**PROTOBUF, "Content-Encoding": "gzip"}
    for answer in (
        http_request("POST", f"{small}/v1/logs", large, PROTOBUF),
        http_request("POST", f"{small}/v1/logs", gzip.compress(large), compressed),
        _chunked(small, large),
    ):
        assert answer.status == 413
        assert f"expected at most {MAX_BODY} bytes" in _status(answer)[1]


def _chunked(url: str, body: bytes) -> Answer:
    """A POST of unknown length, by hand."""
    parts = urlsplit(url)
    head = (
        "POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
        "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection((str(parts.hostname), parts.port or 0), 60) as connection:
        connection.sendall(head.encode() + f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n")
        raw = b"".join(iter(lambda: connection.recv(65536), b""))
    status_line, _, rest = raw.partition(b"\r\n")
    fields, _, content = rest.partition(b"\r\n\r\n")
    headers = dict(line.lower().split(": ", 1) for line in fields.decode().split("\r\n"))
    return Answer(int(status_line.split()[1]), headers, content)


def test_what_is_no_http_is_answered_and_leaves_no_trace(broker: str, tmp_path: Path) -> None:
    """A line that is none, a header too long: 400, no traceback in the log, and the next one is served."""
    child, url = start_gateway(tmp_path / "log", broker)
    try:
        parts = urlsplit(url)
        for said in (
            b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: " + b"x" * 70_000 + b"\r\n\r\n",
        ):
            with socket.create_connection((str(parts.hostname), parts.port or 0), 60) as connection:
                connection.sendall(said)
                assert connection.recv(65536).split()[1] == b"400"
        assert http_request("GET", f"{url}/readyz").status == 200
        assert "Traceback" not in child.log()
    finally:
        assert child.stop() == 0


def test_a_client_that_goes_away_costs_nothing(gateway: str, run: str, broker: str) -> None:
    """A connection that ends in the middle of a body leaves the gateway as it was."""
    parts = urlsplit(gateway)
    with socket.create_connection((str(parts.hostname), parts.port or 0), 60) as connection:
        connection.sendall(b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n")
        connection.sendall(b"Content-Length: 1000\r\n\r\nhalf")
    answer = http_request("POST", f"{gateway}/v1/logs", _request(run, "x").SerializeToString(), PROTOBUF)
    assert answer.status == 200
    assert len(_arrived(broker, run, 1)) == 1


def test_beacons_reach_every_partition(broker: str, tmp_path: Path) -> None:
    """The gateway writes its sign of life to each partition of otlp_logs, named after host and port."""
    child, url = start_gateway(tmp_path / "log", broker, beacon_grace_s=0.0)
    try:
        name = f":{urlsplit(url).port}"
        found = read_topic(
            broker, topics.OTLP_LOGS,
            enough=lambda found: len({record.partition for record in found}) == 2,
            wanted=lambda record: (_beacon(record) or "").endswith(name),
        )  # fmt: skip
        assert dict(found[0].headers)[topics.HEADER_GATEWAY].decode() == _beacon(found[0])
    finally:
        child.stop()


def _beacon(record: ConsumerRecord) -> str | None:
    try:
        found = beacon.beacon_of(parse.parse_logs(record.value))
    except parse.OtlpError:
        return None  # another test's malformed bytes, on the shared broker
    return found[1] if found else None


def test_forged_beacons_are_rejected(gateway: str) -> None:
    """A client cannot move the clock of the stream."""
    answer = http_request("POST", f"{gateway}/v1/logs", beacon.beacon_request(2**62, "x"), PROTOBUF)
    partial = ExportLogsServiceResponse.FromString(answer.body).partial_success
    assert (answer.status, partial.rejected_log_records) == (200, 1)
    assert partial.error_message == "the event name trainwarden.beacon is reserved"
