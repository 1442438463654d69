"""The viewer's page of incidents over HTTP: what it tells, who may decide, and what that does."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from emitter.signing import TrustedKeys, verify
from emitter.vocabulary import topics
from stream.keys import OPERATOR, KeyStore
from stream.web import peers
from tests.dashboards.rig import new_history, start_viewer
from tests.fixtures import Answer, http_request, read_topic
from tests.stream.ledger.arbiter import answering
from tests.stream.ledger.keeping import keep
from tests.stream.ledger.records import Case

POSTED = {"Content-Type": "application/json", "X-Trainwarden": "decide"}
pytestmark = pytest.mark.slow


class Seat(NamedTuple):
    """A viewer that signs for an operator, its history, its broker, and the operator's keys."""

    url: str
    history: str
    kafka: str
    store: KeyStore


@pytest.fixture(scope="module")
def seat(clickhouse_url: str, broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seat]:
    folder = tmp_path_factory.mktemp("seat")
    store, history = KeyStore(folder), new_history(clickhouse_url)
    key = str(store.new("ada", OPERATOR).path)
    child, url = start_viewer(folder / "viewer.log", history, kafka=broker, operator_key=key)
    try:
        yield Seat(url, history, broker, store)
    finally:
        child.stop()


def _get(url: str, path: str, status: int = 200) -> Any:
    answer = http_request("GET", f"{url}{path}")
    assert answer.status == status, answer.body
    return json.loads(answer.body)


def _post(url: str, body: Any, headers: Mapping[str, str] = POSTED) -> Answer:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    return http_request("POST", f"{url}/api/decide", encoded, headers)


def test_what_waits_and_what_happened(seat: Seat) -> None:
    """A held command with all that it would do, its incident, and its story."""
    case = Case()
    keep(seat.history, case.held())
    page = _get(seat.url, "/api/incidents")
    assert page["operator"]["may"] is True
    assert page["operator"]["author"].endswith("(viewer)")
    (held,) = [one for one in page["waiting"] if one["command"] == case.command_id]
    assert (held["action"], held["run"], held["severity"]) == ("rollback", case.run, "critical")
    assert (held["summary"], held["args"]) == ("Loss is NaN", {"before_step": 90, "lr_scale": 0.5})
    (incident,) = [one for one in page["incidents"] if one["id"] == case.incident]
    assert (incident["state"], incident["cause"]["rule"]) == ("waiting", "nan-loss")
    assert incident["cost"] == {"lost_steps": 12, "lost_seconds": 3.5, "gpu_seconds": 28.0}
    assert _get(seat.url, "/api/waiting") == len(page["waiting"])
    story = _get(seat.url, f"/api/story?id={case.command_id[:12]}")
    assert [entry["what"] for entry in story["timeline"]] == ["firing", "opened", "held"]
    assert story["commands"][0]["args"]["lr_scale"] == 0.5
    keep(seat.history, [case.decision("approved"), case.decision("sent"), case.sent()])
    assert case.command_id not in [one["command"] for one in _get(seat.url, "/api/incidents")["waiting"]]


@pytest.mark.parametrize("verdict", ["approve", "reject"])
def test_a_word_is_signed_and_answered(seat: Seat, verdict: str) -> None:
    """On the topic with the operator's signature; the arbiter's answer comes back."""
    case = Case()
    keep(seat.history, case.held())
    ended = {"approve": "approved", "reject": "rejected"}[verdict]
    thread = answering(seat.kafka, case, ended)
    answer = _post(seat.url, {"command": case.command_id, "verdict": verdict, "reason": "seen it"})
    thread.join(60)
    assert answer.status == 200, answer.body
    assert json.loads(answer.body)["answer"]["decision"] == ended
    (record,) = read_topic(
        seat.kafka, topics.REMEDIATION_CONTROL, len, lambda one: case.command_id.encode() in one.value
    )
    key = verify(record.value, dict(record.headers), TrustedKeys(seat.store.files[OPERATOR]))
    assert key == seat.store.newest(OPERATOR).public.id
    said = json.loads(record.value)["data"]
    assert (said["kind"], said["reason"]) == (verdict, "seen it")
    assert said["author"].endswith("(viewer)")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "null"}, 403),
        ({"Content-Type": "text/plain"}, 400),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 400),
        ({"X-Trainwarden": None}, 400),
        ({"Host": "evil.example"}, 421),
    ],
)
def test_no_other_page_can_decide(seat: Seat, headers: dict[str, str | None], status: int) -> None:
    """Whatever a browser could be made to send by another site, or by another port of this machine."""
    case = Case()
    keep(seat.history, case.held())
    sent = {name: value for name, value in {**POSTED, **headers}.items() if value is not None}
    answer = _post(seat.url, {"command": case.command_id, "verdict": "approve"}, sent)
    assert answer.status == status, answer.body
    assert http_request("GET", f"{seat.url}/api/decide").status == 405


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "expected a command and a verdict"),
        ({"command": "c" * 32}, 400, "missing required field `verdict`"),
        ({"command": "c" * 32, "verdict": "delete"}, 400, "`approve` or `reject`"),
        ({"command": "x' OR 1=1", "verdict": "approve"}, 400, "the id of a command"),
        ({"command": "c" * 32, "verdict": "reject", "reason": " "}, 400, "a rejection says why"),
        ({"command": "c" * 32, "verdict": "approve"}, 409, "no command has the id cccc"),
        ({"command": "c" * 32, "verdict": "approve", "author": "root"}, 400, "unknown field `author`"),
    ],
)
def test_bad_words_are_refused(seat: Seat, body: Any, status: int, words: str) -> None:
    """One clear error; nothing is signed."""
    answer = _post(seat.url, body)
    assert (answer.status, words in json.loads(answer.body)["error"]) == (status, True), answer.body


def test_a_command_that_ended_is_not_approved(seat: Seat) -> None:
    """A page that is a little old is told so."""
    case = Case()
    keep(seat.history, [*case.held(), case.decision("withdrawn", reason="the run ended")])
    answer = _post(seat.url, {"command": case.command_id, "verdict": "approve"})
    assert answer.status == 409
    assert "withdrawn (the run ended)" in json.loads(answer.body)["error"]


def test_without_a_key_nothing_can_be_decided(seat: Seat, tmp_path: Path) -> None:
    """The page shows everything, and what to type."""
    child, url = start_viewer(tmp_path / "viewer.log", seat.history)
    try:
        operator = _get(url, "/api/incidents")["operator"]
        assert (operator["may"], operator["author"]) == (False, None)
        assert "was started without an operator's key" in operator["why"]
        answer = _post(url, {"command": "c" * 32, "verdict": "approve"})
        assert answer.status == 403
    finally:
        child.stop()


def test_a_bad_story_is_told_so(seat: Seat) -> None:
    """Unknown ids and what is no id."""
    assert "no command, incident" in _get(seat.url, "/api/story?id=0123456789", 404)["error"]
    assert "expected 6 to 64 letters" in _get(seat.url, "/api/story?id=%27", 400)["error"]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_who_is_at_the_other_end(address: str) -> None:
    """The kernel says whose process it is, over IPv4 and IPv6, and where IPv4 comes in by an IPv6 socket."""
    with socket.socket(socket.AF_INET6) as server:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind(("::", 0))
        server.listen()
        port = server.getsockname()[1]
        with socket.create_connection((address, port)), server.accept()[0] as taken:
            names = {"peername": taken.getpeername(), "sockname": taken.getsockname()}
            transport = type("Transport", (), {"get_extra_info": lambda _, name: names[name]})()
            assert peers.user_of(transport) == os.getuid()


def test_others_may_not_act_for_us() -> None:
    """Root may, who could become anybody; a stranger and nobody at all may not."""
    assert peers.may_act_for_us(os.getuid())
    assert peers.may_act_for_us(0)
    assert not peers.may_act_for_us(os.getuid() + 12345)
    assert not peers.may_act_for_us(None)
