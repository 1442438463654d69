"""OTLP over gRPC: requests and answers of a real gateway in front of a real broker."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

from emitter.vocabulary import topics
from stream.gateway.rpc import DETAILS
from stream.otlp import beacon
from tests.fixtures import free_port, http_request, read_topic, start_gateway

pytestmark = pytest.mark.slow

LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
TOKEN = "secret of the test"
MAX_BODY = 3_000_000


class Place(NamedTuple):
    """A gateway of this module."""

    http: str
    grpc: str


@pytest.fixture(scope="module")
def place(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A gateway with low limits."""
    port = free_port()
    log = tmp_path_factory.mktemp("gateway") / "log"
    child, url = start_gateway(log, broker, grpc_port=port, max_body_bytes=MAX_BODY)
    yield Place(url, f"127.0.0.1:{port}")
    assert child.stop() == 0
    assert "Traceback" not in child.log()


class Answered(NamedTuple):
    """What a call ended with."""

    code: Any
    message: str
    body: bytes
    trailers: dict[str, Any]


def call(target: str, body: bytes, method: str = LOGS, compression: Any = None, **metadata: str) -> Answered:
    """One call on a channel of its own."""
    options = [("grpc.max_send_message_length", -1), ("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(target, options) as channel:
        try:
            answer, done = channel.unary_unary(method).with_call(
                body, timeout=60, compression=compression, metadata=tuple(metadata.items()),
                wait_for_ready=True,
            )  # fmt: skip
        except grpc.RpcError as error:
            return Answered(error.code(), error.details(), b"", dict(error.trailing_metadata() or ()))
        return Answered(done.code(), "", answer, {})


def request_of(run: str, *bodies: str) -> bytes:
    """A logs request."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.add(key="train.run.id").value.string_value = run
    group.resource.attributes.add(key="train.emitter.id").value.string_value = "e"
    scope = group.scope_logs.add()
    for body in bodies:
        scope.log_records.add(time_unix_nano=1).body.string_value = body
    return request.SerializeToString()


@pytest.fixture
def run() -> str:
    return f"run-{uuid.uuid4().hex}"


@pytest.mark.parametrize(
    "compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip, grpc.Compression.Deflate]
)
def test_acknowledged_bytes_are_in_kafka(broker: str, place: Place, run: str, compression: Any) -> None:
    """However the message is compressed, the record holds its bytes, the emitter as key and the gateway."""
    payload = request_of(run, "hello")
    answer = call(place.grpc, payload, compression=compression)
    assert (answer.code, answer.body) == (grpc.StatusCode.OK, b"")
    (record,) = read_topic(
        broker, topics.OTLP_LOGS, enough=len, wanted=lambda record: run.encode() in record.value
    )
    assert (record.value, record.key) == (payload, b"e")
    assert topics.HEADER_GATEWAY in dict(record.headers)


@pytest.mark.parametrize("body", [b"\xff\xff", b"\x1f\x8bplain", b'{"resourceLogs":[]}'])
def test_malformed_requests(place: Place, body: bytes) -> None:
    """Each is an invalid argument with one clear message, not to be repeated, and is counted."""
    before = json.loads(http_request("GET", f"{place.http}/healthz").body)
    answer = call(place.grpc, body)
    assert answer.code == grpc.StatusCode.INVALID_ARGUMENT
    assert answer.message.startswith("body: expected")
    status = Status.FromString(answer.trailers[DETAILS])
    assert (status.code, status.message, list(status.details)) == (3, answer.message, [])
    after = json.loads(http_request("GET", f"{place.http}/healthz").body)
    assert after["malformed"] == before["malformed"] + 1


def test_messages_above_the_limit(place: Place) -> None:
    """Too long as it comes or once decompressed: resources are exhausted, and nobody is told to repeat."""
    for compression in (None, grpc.Compression.Gzip, grpc.Compression.Deflate):
        answer = call(place.grpc, request_of("r", "x" * (MAX_BODY + 1)), compression=compression)
        assert answer.code == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "3000000" in answer.message
        assert not Status.FromString(answer.trailers.get(DETAILS, b"")).details


def test_partial_success(place: Place) -> None:
    """What is left out is told, as over HTTP."""
    answer = call(place.grpc, beacon.beacon_request(2**62, "x"))
    partial = ExportLogsServiceResponse.FromString(answer.body).partial_success
    assert (answer.code, partial.rejected_log_records) == (grpc.StatusCode.OK, 1)
    assert partial.error_message == "the event name trainwarden.beacon is reserved"


def test_unknown_methods(place: Place) -> None:
    """A service that the gateway does not have is named as such."""
    answer = call(place.grpc, b"", "/opentelemetry.proto.collector.profiles.v1.ProfilesService/Export")
    assert answer.code == grpc.StatusCode.UNIMPLEMENTED


def test_without_kafka_calls_are_to_be_repeated(tmp_path: Path) -> None:
    """Unavailable, with the time to wait as OTLP wants it said."""
    port = free_port()
    child, _ = start_gateway(tmp_path / "log", f"127.0.0.1:{free_port()}", ready=False, grpc_port=port)
    try:
        answer = call(f"127.0.0.1:{port}", request_of("r", "x"))
        assert answer.code == grpc.StatusCode.UNAVAILABLE
        (detail,) = Status.FromString(answer.trailers[DETAILS]).details
        wait = RetryInfo()
        assert detail.Unpack(wait)
        assert wait.retry_delay.seconds == 1
    finally:
        assert child.stop() == 0


def test_a_token_is_asked_for(broker: str, tmp_path: Path) -> None:
    """Where it is set, over gRPC as over HTTP, before anything is read."""
    port = free_port()
    child, url = start_gateway(tmp_path / "log", broker, grpc_port=port, otlp_token=TOKEN)
    try:
        target, body = f"127.0.0.1:{port}", request_of("r", "x")
        for given in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"}):
            assert call(target, body, **given).code == grpc.StatusCode.UNAUTHENTICATED
            headers = {"Content-Type": "application/x-protobuf", **given}
            assert http_request("POST", f"{url}/v1/logs", body, headers).status == 401
        good = {"authorization": f"Bearer {TOKEN}"}
        assert call(target, body, **good).code == grpc.StatusCode.OK
        headers = {"Content-Type": "application/x-protobuf", **good}
        assert http_request("POST", f"{url}/v1/logs", body, headers).status == 200
        assert TOKEN not in child.log()
    finally:
        assert child.stop() == 0


def test_a_port_that_is_taken(broker: str, place: Place, tmp_path: Path) -> None:
    """Two gateways never share a port."""
    from stream import gateway

    with pytest.raises(gateway.GatewayError, match=r"cannot listen on 127\.0\.0\.1:.* for gRPC; stop what"):
        gateway.run(kafka=broker, port=free_port(), grpc_port=int(place.grpc.rpartition(":")[2]))
