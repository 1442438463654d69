"""What the gateway hands out and takes in for trainers that cannot reach Kafka."""

from __future__ import annotations

import base64
import json
import socket
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from emitter.vocabulary import cloudevents, topics
from emitter.vocabulary.commands import Ack
from stream.gateway.tape import Entry, Reel, named_runs
from tests.emitter import kafka_side
from tests.fixtures import Answer, http_request, read_topic, start_gateway
from tests.keys import SENDER

pytestmark = pytest.mark.slow


def get(gateway: str, path: str) -> Any:
    """The JSON of a good answer."""
    answer = http_request("GET", gateway + path)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def test_bytes_and_headers_are_those_of_the_topic(broker: str, gateway: str) -> None:
    """Value, key and signature unchanged; the cursor leads on, a bad one leads back to the beginning."""
    run = uuid.uuid4().hex
    commands = [kafka_side.command(run, "save") for _ in range(3)]
    kafka_side.send(broker, topics.REMEDIATION_COMMANDS, kafka_side.command("another", "save"), *commands[:2])
    first = get(gateway, f"/v1/commands?run={run}&wait=20")
    while len(first["messages"]) < 2:
        more = get(gateway, f"/v1/commands?run={run}&wait=20&after={first['cursor']}")
        first = {"cursor": more["cursor"], "messages": first["messages"] + more["messages"]}
    for message, command in zip(first["messages"], commands, strict=False):
        value = base64.b64decode(message["value"])
        assert value == command.encode()
        headers = {name: base64.b64decode(text) for name, text in message["headers"].items()}
        assert headers == SENDER.headers(value)
        assert base64.b64decode(message["key"]) == run.encode()

    kafka_side.send(broker, topics.REMEDIATION_COMMANDS, commands[2])
    second = get(gateway, f"/v1/commands?run={run}&wait=20&after={first['cursor']}")
    assert [base64.b64decode(one["value"]) for one in second["messages"]] == [commands[2].encode()]
    nothing = get(gateway, f"/v1/commands?run={run}&after={second['cursor']}")
    assert (nothing["messages"], nothing["cursor"]) == ([], second["cursor"])
    for cursor in ("", "rubbish", "other;0:1", f"{second['cursor']}x"):
        assert len(get(gateway, f"/v1/commands?run={run}&after={cursor}")["messages"]) == 3


def test_an_ack_goes_to_the_topic_as_it_is(broker: str, gateway: str) -> None:
    """Keyed by its run, with the content type of a CloudEvent; and it can be asked for."""
    run = uuid.uuid4().hex
    payload = Ack("c", run, "succeeded", cloudevents.rfc3339(time.time_ns()), rank=0).encode()
    assert http_request("POST", f"{gateway}/v1/acks", payload).status == 200
    (record,) = read_topic(
        broker, topics.REMEDIATION_ACKS, lambda found: found, lambda record: record.key == run.encode()
    )
    assert (record.value, list(record.headers)) == (payload, cloudevents.HEADERS)
    found = get(gateway, f"/v1/acks?run={run}&wait=20")["messages"]
    assert [base64.b64decode(one["value"]) for one in found] == [payload]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("GET", "/v1/commands", None, 400, "run: expected the id of a run"),
        ("GET", "/v1/commands?run=r&wait=soon", None, 400, "wait: expected a number of seconds, got 'soon'"),
        ("GET", "/v1/commands?run=r&wait=nan", None, 400, "wait: expected a number of seconds"),
        ("POST", "/v1/acks", b"{}", 400, "body: expected a CloudEvent of type 'io.trainwarden.ack.v1'"),
        ("POST", "/v1/acks", b"x" * 300_000, 413, "body: expected at most 262144 bytes"),
        ("POST", "/v1/commands", b"{}", 405, "Method Not Allowed"),
    ],
)
def test_bad_requests_are_named(
    gateway: str, method: str, path: str, body: bytes | None, status: int, words: str
) -> None:
    """Field, expectation and what came; nothing reaches Kafka."""
    answer = http_request(method, gateway + path, body)
    assert (answer.status, words in json.loads(answer.body)["message"]) == (status, True), answer.body


def test_a_gateway_for_other_machines_needs_a_token(broker: str, tmp_path: Path) -> None:
    """Listening beyond the loopback without one, it hands out nothing and says what helps."""
    child, url = start_gateway(tmp_path / "open.log", broker, host="0.0.0.0")
    try:
        answer = http_request("GET", f"{url}/v1/commands?run=r")
        assert answer.status == 401
        assert "set TRAINWARDEN_GATEWAY_TOKEN" in json.loads(answer.body)["message"]
    finally:
        child.kill()
    child, url = start_gateway(tmp_path / "token.log", broker, host="0.0.0.0", token="t")
    try:

        def ask(token: str) -> Answer:
            return http_request("GET", f"{url}/v1/commands?run=r", None, {"Authorization": f"Bearer {token}"})

        assert [ask(token).status for token in ("", "T", "t")] == [401, 401, 200]
    finally:
        child.kill()


def test_a_stopping_gateway_answers_those_who_wait(broker: str, tmp_path: Path) -> None:
    """A long poll does not hold up its end."""
    child, url = start_gateway(tmp_path / "gateway.log", broker)
    get(url, "/v1/commands?run=nobody")
    parts = urlsplit(url)
    with socket.create_connection((str(parts.hostname), parts.port or 0), 60) as asking:
        asking.sendall(b"GET /v1/commands?run=nobody&wait=30 HTTP/1.1\r\nHost: x\r\n\r\n")
        # An answered request on another connection: the loop has seen this one, too.
        get(url, "/v1/commands?run=nobody")
        began = time.monotonic()
        assert child.stop() == 0
        assert time.monotonic() - began < 20
        assert asking.recv(65536).startswith(b"HTTP/1.1 200")


def test_without_kafka_it_says_so(tmp_path: Path) -> None:
    """503, to be asked again."""
    child, url = start_gateway(tmp_path / "gateway.log", "127.0.0.1:9", ready=False)
    try:
        answer = http_request("GET", f"{url}/v1/commands?run=r")
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    finally:
        child.kill()


def entry(offset: int, value: bytes = b"{}", key: bytes | None = b"r") -> Entry:
    """A record of partition 0."""
    return Entry(0, offset, int(time.time() * 1000), key, value)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest records go by age and by size; runs without records are forgotten."""
    from stream.gateway import tape

    clock = [100.0]
    reel = Reel(now=lambda: clock[0])
    reel.add(entry(0, key=b"old"))
    clock[0] += 4000.0
    reel.add(entry(1))
    assert (reel.after("old", {}), len(reel.after("r", {})), set(reel.by_run)) == ([], 1, {"r"})
    monkeypatch.setattr(tape, "MOST_BYTES", 100)
    for offset in range(2, 20):
        reel.add(entry(offset, b"x" * 30))
    assert [one.offset for one in reel.after("r", {})] == [17, 18, 19]
    assert (reel.size, reel.after("r", {0: 19})[0].offset) == (90, 19)


def test_pages_are_bounded() -> None:
    """What does not fit into one answer comes with the next."""
    reel = Reel()
    for offset in range(300):
        reel.add(entry(offset))
    page = reel.after("r", {})
    assert (len(page), reel.after("r", {0: page[-1].offset + 1})[0].offset) == (256, 256)


def test_records_are_found_by_all_the_runs_they_name() -> None:
    """Key, envelope and data; whose it is, the signature decides. Rubbish names its key at most."""
    value = json.dumps({"subject": "b", "data": {"run": "c"}}).encode()
    assert named_runs(entry(0, value, b"a")) == {"a", "b", "c"}
    assert named_runs(entry(0, b"\xff", b"a")) == {"a"}
    assert named_runs(entry(0, b"[]", None)) == set()
    assert named_runs(entry(0, b'{"subject": 1, "data": {"run": []}}', None)) == set()
