"""What is refused before it can have an effect: each with an acknowledgement that says why."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import emitter
from emitter.testing import Captured, ManualClock, capture
from emitter.vocabulary import cloudevents, commands, topics
from emitter.vocabulary.commands import Ack, Command
from tests.keys import Pair

PAIR = Pair("ours")
TIMES = {"issued": "2026-01-01T00:00:00Z", "expires": "2026-01-01T00:10:00Z"}
DONE = ["received", "scheduled", "running", "succeeded"]


def save(**fields: Any) -> Command:
    """A command to the run of these tests."""
    return Command(**{"id": "c", "run": "test", "action": "save", **TIMES, **fields})


@pytest.fixture
def trusted(tmp_path: Path) -> Path:
    """The file that trusts PAIR."""
    return PAIR.trust(tmp_path / "keys")


@pytest.fixture
def ran() -> list[Command]:
    """What the handler of ``save`` was called with."""
    return []


@pytest.fixture
def session(trusted: Path, clock: ManualClock, ran: list[Command]) -> Iterator[Captured]:
    """A session that obeys PAIR."""
    with capture(clock=clock, trusted_keys=str(trusted)) as captured:
        captured.sign = PAIR.headers
        emitter.on("save")(ran.append)
        yield captured


def refused(captured: Captured, ran: list[Command]) -> Ack:
    """The only acknowledgement, after a step at which nothing happened."""
    emitter.step(1, loss=1.0)
    assert ran == []
    (ack,) = captured.acks
    assert (ack.state, ack.run, ack.rank) == ("rejected", "test", 0)
    return ack


def test_a_signed_command_is_obeyed(session: Captured, ran: list[Command]) -> None:
    """The other tests here change one thing of this."""
    command = session.command("save")
    emitter.step(1, loss=1.0)
    assert (session.states(command), len(ran)) == (DONE, 1)


def test_unsigned(session: Captured, ran: list[Command]) -> None:
    """No headers, no effect."""
    session.deliver(save().encode(), {})
    ack = refused(session, ran)
    assert (ack.command, ack.reason) == ("c", "unsigned")
    assert "trainwarden-signature" in ack.detail["error"]


def test_wrong_key(session: Captured, ran: list[Command], trusted: Path) -> None:
    """A signature that fits, by somebody who is not trusted here; the answer names the file."""
    other = Pair("other")
    session.deliver(save().encode(), other.headers(save().encode()))
    ack = refused(session, ran)
    assert ack.reason == "unknown_key"
    assert (ack.detail["key_id"], ack.detail["trusted_keys"]) == (other.public.id, str(trusted))


def test_revoked_key(session: Captured, ran: list[Command], trusted: Path) -> None:
    """The file changes under a running session: the next command is refused."""
    session.command("save")
    emitter.step(0, loss=1.0)
    assert len(ran) == 1
    trusted.write_text(Pair("new").public.line() + "\n")
    command = session.command("save")
    emitter.step(1, loss=1.0)
    assert (session.states(command), session.acks[-1].reason) == (["rejected"], "unknown_key")
    assert len(ran) == 1


def test_altered_byte(session: Captured, ran: list[Command]) -> None:
    """One character of the arguments is another."""
    payload = save(args={"kind": "regular"}).encode()
    session.deliver(payload.replace(b"regular", b"regulas"), PAIR.headers(payload))
    assert refused(session, ran).reason == "bad_signature"


def test_every_byte_counts(session: Captured, ran: list[Command]) -> None:
    """Whichever byte is altered, nothing runs; what can still be told to be ours is answered."""
    payload = save().encode()
    for place in range(len(payload)):
        altered = payload[:place] + bytes([payload[place] ^ 1]) + payload[place + 1 :]
        session.deliver(altered, PAIR.headers(payload), key=b"test")
    emitter.step(1, loss=1.0)
    assert ran == []
    assert {ack.reason for ack in session.acks} == {"bad_signature", "unreadable"}
    assert len(session.acks) == len(payload)


@pytest.mark.parametrize(
    ("header", "value", "reason"),
    [
        (topics.HEADER_KEY_ID, b"0123456789abcdef", "unknown_key"),
        (topics.HEADER_SIGNATURE, PAIR.headers(b"other bytes")[topics.HEADER_SIGNATURE], "bad_signature"),
        (topics.HEADER_SIGNATURE, b"", "unsigned"),
    ],
    ids=["another key", "of other bytes", "empty"],
)
def test_altered_header(
    session: Captured, ran: list[Command], header: str, value: bytes, reason: str
) -> None:
    """Another key id, another message's signature, an empty one."""
    payload = save().encode()
    session.deliver(payload, {**PAIR.headers(payload), header: value})
    assert refused(session, ran).reason == reason


def test_no_trusted_keys_obeys_nobody(trusted: Path, clock: ManualClock, ran: list[Command]) -> None:
    """An empty file, or none, trusts no key at all."""
    trusted.write_text("")
    with capture(clock=clock, trusted_keys=str(trusted)) as captured:
        captured.sign = PAIR.headers
        emitter.on("save")(ran.append)
        captured.command("save")
        assert refused(captured, ran).reason == "unknown_key"


@pytest.mark.parametrize(
    ("fields", "state", "reason"),
    [
        ({"attempt": -1}, "rejected", "stale_attempt"),
        ({"expires": "2025-12-31T23:54:59Z"}, "expired", "expired"),
        ({"issued": "2026-01-01T00:05:01Z"}, "rejected", "clock_skew"),
        ({"action": "explode"}, "rejected", "unknown_action"),
        ({"action": "stop"}, "rejected", "not_allowed"),
        ({"args": {"kind": "total"}}, "rejected", "bad_arguments"),
    ],
)
def test_signed_but_wrong(
    trusted: Path, clock: ManualClock, ran: list[Command], fields: dict[str, Any], state: str, reason: str
) -> None:
    """A signature says who sent it, not that it may be run."""
    with capture(clock=clock, trusted_keys=str(trusted), allow=["save", "explode"]) as captured:
        captured.sign = PAIR.headers
        emitter.on("save")(ran.append)
        command = captured.command(**{"action": "save", **fields})
        emitter.step(1, loss=1.0)
        assert (captured.states(command), captured.acks[-1].reason) == (["received", state], reason)
        assert ran == []


def test_other_run(session: Captured, ran: list[Command]) -> None:
    """Another run's command, signed, but sent under our key: refused. Under its own key it is not ours."""
    payload = save(run="other").encode()
    session.deliver(payload, PAIR.headers(payload), key=b"other")
    assert session.acks == []
    session.deliver(payload, PAIR.headers(payload), key=b"test")
    ack = refused(session, ran)
    assert (ack.reason, ack.detail["expected"], ack.detail["got"]) == ("other_run", "test", "other")


def test_envelope_and_data_that_name_different_runs(session: Captured, ran: list[Command]) -> None:
    """Signed, but for whom? Refused."""
    data = save(run="other").to_json()
    payload = cloudevents.encode(cloudevents.COMMAND, "c", "test", TIMES["issued"], data)
    session.deliver(payload, PAIR.headers(payload))
    assert refused(session, ran).reason == "other_run"


def test_bytes_under_our_key_that_nobody_can_read(session: Captured, ran: list[Command]) -> None:
    """They are answered under the digest of the bytes; those under other keys are passed over."""
    session.deliver(b"\xff not json", {}, key=b"other")
    session.deliver(b"\xff not json", {}, key=b"test")
    ack = refused(session, ran)
    assert ack.reason == "unreadable"
    assert "expected a CloudEvent in JSON" in ack.detail["error"]


def test_too_large(session: Captured, ran: list[Command]) -> None:
    """A command is an instruction, not a file."""
    payload = save(args={"note": "x" * commands.LARGEST_BYTES}).encode()
    session.deliver(payload, PAIR.headers(payload), key=b"test")
    assert "expected at most 65536 bytes" in refused(session, ran).detail["error"]


def test_a_forgery_does_not_spoil_the_true_command(session: Captured, ran: list[Command]) -> None:
    """Ids can be guessed: what was refused for its signature is not remembered under them."""
    session.deliver(save().encode(), {})
    session.deliver(save(run="other").encode(), PAIR.headers(save(run="other").encode()), key=b"test")
    session.deliver(save().encode(), PAIR.headers(save().encode()))
    emitter.step(1, loss=1.0)
    assert [ack.state for ack in session.acks] == ["rejected", "rejected", *DONE]
    assert len(ran) == 1


def test_a_predecessors_answer_to_a_forgery_is_not_an_outcome(session: Captured, ran: list[Command]) -> None:
    """After a restart of the process, acks are read: only ends of true commands count."""
    forged = Ack("c", "test", "rejected", "2025-12-31T23:59:00.000000Z", rank=0, reason="bad_signature")
    session.session.commander.recall(forged)
    session.deliver(save().encode(), PAIR.headers(save().encode()))
    emitter.step(1, loss=1.0)
    assert len(ran) == 1


def test_read_again_is_not_answered_again(session: Captured) -> None:
    """After a reconnect the topic is read from a while back."""
    for _ in range(3):
        session.session.commander.receive(save().encode(), (0, 7, 0), {})
    assert len(session.acks) == 1


def test_an_aborted_command_may_be_tried_again(session: Captured, clock: ManualClock) -> None:
    """Its resend runs; read again at the same place it does not; after its expiry it is refused."""
    pause = save(action="pause")
    payload, headers = pause.encode(), PAIR.headers(pause.encode())
    session.deliver(payload, headers)
    session.command("resume")
    assert session.states(pause) == ["received", "scheduled", "aborted"]
    place = session.session.commander.ledger.open("c", None)
    assert place is not None
    session.session.commander.receive(payload, place.position, headers)
    assert session.states(pause) == ["received", "scheduled", "aborted"]

    session.deliver(payload, headers)
    session.command("resume")
    assert session.states(pause) == ["received", "scheduled", "aborted"] * 2
    clock.advance(1000)
    session.deliver(payload, headers)
    assert session.states(pause)[-2:] == ["received", "expired"]


@pytest.mark.parametrize("action", ["restart", "rollback"])
def test_unsupervised(clock: ManualClock, action: str) -> None:
    """Nobody would start the trainer again: refused, with what helps; a handler of one's own changes that."""
    with capture(clock=clock, supervised=False) as captured:
        command = captured.command(action)
        emitter.step(1, loss=1.0)
        assert (captured.states(command), captured.acks[-1].reason) == (
            ["received", "rejected"],
            "unsupervised",
        )
        assert "run it under `trainwarden run`" in captured.acks[-1].detail["error"]

        emitter.on(action)(lambda command: None)
        again = captured.command(action)
        emitter.step(2, loss=1.0)
        assert captured.states(again) == DONE


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize(
    ("action", "args", "wanted"),
    [
        ("save", {"kind": 1}, "regular or forensic"),
        ("save", {"path": "x" * 5000}, "a path of 1 to 4096 characters"),
        ("save", {"path": "a\0b"}, "a path of 1 to 4096 characters"),
        ("pause", {"lease_s": 0}, "a number of seconds above 0 and at most 86400"),
        ("pause", {"lease_s": 86_401}, "a number of seconds above 0 and at most 86400"),
        ("pause", {"lease_s": True}, "a number of seconds above 0 and at most 86400"),
        ("rollback", {"lr_scale": 0}, "a number above 0 and at most 1000 or null"),
        ("rollback", {"lr_scale": 1001}, "a number above 0 and at most 1000 or null"),
        ("rollback", {"lr_scale": float("nan")}, "a number above 0 and at most 1000 or null"),
        ("rollback", {"checkpoint": {"path": ""}}, "an object with a `path` of 1 to 4096 characters"),
        ("rollback", {"checkpoint": "/c/1"}, "an object with a `path` of 1 to 4096 characters"),
        ("rollback", {"before_step": -1}, "an integer of 0 or more or null"),
        ("rollback", {"before_time": "yesterday"}, "a time such as 2026-01-01T00:00:00Z or null"),
        ("set", {"parameter": "lr", "value": 10**400}, "a number from -1e+30 to 1e+30"),
        ("set", {"parameter": "lr", "value": float("inf")}, "a number from -1e+30 to 1e+30"),
        ("set", {"parameter": "lr", "scale": -1}, "a number above 0 and at most 1000"),
        ("set", {"parameter": ["lr"], "scale": 1}, "a text of 1 to 200 characters"),
    ],
)
def test_arguments_out_of_bounds(
    captured: Captured, own: bool, action: str, args: dict[str, Any], wanted: str
) -> None:
    """For handlers of one's own and built-in actions alike; the answer says what was expected."""
    if action == "save" or own:
        emitter.on(action)(lambda command: None)
    command = captured.command(action, args=args)
    emitter.step(1, loss=1.0)
    assert captured.states(command) == ["received", "rejected"]
    assert captured.acks[-1].reason == "bad_arguments"
    name = "parameter" if args.get("parameter") == ["lr"] else list(args)[-1]
    assert captured.acks[-1].detail["error"].startswith(f"expected `{name}` to be {wanted}")
    assert len(captured.acks[-1].detail["error"]) < 400


def test_one_warning_when_no_key_is_trusted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With commands on and nobody to obey, init says so, and what helps."""
    monkeypatch.setenv("TRAINWARDEN_TRUSTED_KEYS", str(tmp_path / "nobody"))
    with caplog.at_level(logging.WARNING, "emitter"):
        emitter.init("quiet", endpoint=f"file:{tmp_path}", commands="kafka://127.0.0.1:9", resources=False)
        emitter.shutdown()
    said = [message for message in caplog.messages if "trusts no key" in message]
    assert len(said) == 1
    assert f"none will be obeyed: {tmp_path / 'nobody'} trusts no key" in said[0]
    assert "`trainwarden keys new`" in said[0]


def test_keys_of_a_local_stack_count_for_its_own_commands_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stack_file: Any
) -> None:
    """A stack that was found on the loopback names its file of keys; else it is not asked."""
    from emitter import _parts
    from emitter._settings import resolve

    monkeypatch.delenv("TRAINWARDEN_TRUSTED_KEYS")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    usual = tmp_path / "config" / "trainwarden" / "trusted_keys"
    stack_file({"kafka": "127.0.0.1:9092"})
    described = tmp_path / "stack.json"
    described.write_text(json.dumps({**json.loads(described.read_text()), "trusted_keys": "/stack/keys"}))

    assert _parts.trusted(resolve({})).path == Path("/stack/keys")
    assert _parts.trusted(resolve({"commands": "kafka://far:9092"})).path == usual
    assert _parts.trusted(resolve({"trusted_keys": "/mine"})).path == Path("/mine")
    described.write_text(described.read_text().replace("127.0.0.1", "192.0.2.1"))
    assert _parts.trusted(resolve({})).path == usual
