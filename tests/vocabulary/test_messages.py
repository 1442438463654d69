"""Diagnoses, commands and acks as CloudEvents."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emitter.vocabulary import cloudevents, commands, diagnoses
from emitter.vocabulary.cloudevents import CloudEventError

_TEXT = st.text(max_size=20)
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | _TEXT
_JSON = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3)
)
_OBJECTS = st.dictionaries(_TEXT, _JSON, max_size=4)
_TIMES = st.integers(0, 4_000_000_000 * 10**9).map(cloudevents.rfc3339)

_COMMANDS = st.builds(
    commands.Command,
    id=_TEXT, run=_TEXT, action=st.sampled_from(commands.ACTIONS), issued=_TIMES, expires=_TIMES,
    attempt=st.integers(0, 10), args=_OBJECTS,
    target=st.builds(
        commands.Target, ranks=st.just("all") | st.lists(st.integers(0, 9)), node=st.none() | _TEXT
    ),
    reason=st.builds(
        commands.Reason, diagnosis=st.none() | _TEXT, rule=st.none() | _TEXT, summary=st.none() | _TEXT
    ),
)  # fmt: skip
_ACKS = st.builds(
    commands.Ack,
    command=_TEXT, run=_TEXT, state=st.sampled_from(commands.ACK_STATES), time=_TIMES,
    rank=st.none() | st.integers(0, 9), step=st.none() | st.integers(), detail=_OBJECTS,
)  # fmt: skip
_DIAGNOSES = st.builds(
    diagnoses.Diagnosis,
    id=_TEXT, rule=_TEXT, category=st.sampled_from(sorted(diagnoses.CATEGORIES)), run=_TEXT, time=_TIMES,
    severity=st.sampled_from(diagnoses.SEVERITIES), state=st.sampled_from(diagnoses.STATES), summary=_TEXT,
    evidence=_OBJECTS,
)  # fmt: skip


@given(_COMMANDS)
def test_commands_survive_the_round_trip(command: commands.Command) -> None:
    """What is decoded is what was encoded, numbers that are not finite as their strings."""
    expected = dataclasses.replace(command, args=cloudevents.finite(command.args))

    assert commands.decode_command(command.encode()) == expected


@given(_ACKS)
def test_acks_survive_the_round_trip(ack: commands.Ack) -> None:
    """What is decoded is what was encoded, numbers that are not finite as their strings."""
    expected = dataclasses.replace(ack, detail=cloudevents.finite(ack.detail))

    assert commands.decode_ack(ack.encode()) == expected


@given(_DIAGNOSES)
def test_diagnoses_survive_the_round_trip(diagnosis: diagnoses.Diagnosis) -> None:
    """What is decoded is what was encoded, and every key of the contract is in the JSON."""
    expected = dataclasses.replace(diagnosis, evidence=cloudevents.finite(diagnosis.evidence))
    keys = set(json.loads(diagnosis.encode())["data"])

    assert diagnoses.decode(diagnosis.encode()) == expected
    assert keys == {
        "id", "rule", "category", "severity", "state", "run", "attempt", "rank", "node", "step", "time",
        "epoch", "role", "file", "line", "rule_version", "summary", "evidence", "suggestions", "then",
    }  # fmt: skip


@given(_JSON)
def test_json_is_strict(value: Any) -> None:
    """Whatever the value, our JSON has no NaN or Infinity token."""

    def refuse(token: str) -> float:
        raise AssertionError(token)

    json.loads(cloudevents.dumps(value), parse_constant=refuse)


def test_envelope_is_cloudevents_1_0() -> None:
    """The required attributes are there, and a diagnosis keeps one id per transition."""
    diagnosis = diagnoses.Diagnosis(
        id="d1", rule="r", category="nan_loss", severity="critical", state="firing", run="run",
        time="2026-01-01T00:00:00.000000Z", summary="s", evidence={"loss": math.nan},
    )  # fmt: skip

    envelope = json.loads(diagnosis.encode())

    assert envelope["specversion"] == "1.0"
    assert envelope["id"] == "d1/firing"
    assert envelope["type"] == cloudevents.DIAGNOSIS
    assert envelope["subject"] == "run"
    assert envelope["data"]["evidence"] == {"loss": "NaN"}


def test_unknown_keys_are_ignored() -> None:
    """A newer sender may add keys."""
    envelope = json.loads(
        commands.Command("c", "run", "save", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z").encode()
    )
    envelope["data"]["colour"] = "blue"
    envelope["data"]["target"]["planet"] = "earth"

    assert commands.decode_command(json.dumps(envelope).encode()).action == "save"


_GOOD = json.loads(
    commands.Command("c", "run", "save", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z").encode()
)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": 3}, "expected `id` to be a string, got 3"),
        ({"attempt": "1"}, "expected `attempt` to be an integer, got '1'"),
        ({"attempt": True}, "expected `attempt` to be an integer, got True"),
        ({"target": "all"}, "expected `target` to be an object, got 'all'"),
        ({"target": {"ranks": "some"}}, 'expected `target.ranks` to be "all" or a list of ints'),
        ({"args": [1]}, r"expected `args` to be an object, got \[1\]"),
    ],
)
def test_malformed_commands_are_refused(change: dict[str, Any], message: str) -> None:
    """One clear error names the key, what was expected and what came."""
    envelope = {**_GOOD, "data": {**_GOOD["data"], **change}}

    with pytest.raises(CloudEventError, match=message):
        commands.decode_command(json.dumps(envelope).encode())


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"\xff", "bytes that do not parse"),
        (b"[]", "expected a CloudEvent object, got list"),
        (b"{}", "expected a CloudEvent of type 'io.trainwarden.command.v1', got None"),
        (b'{"type":"io.trainwarden.command.v1","data":1}', "expected `data` to be an object, got int"),
        (b"[" * 60_000, "do not parse"),
        (b" " * 70_000, "expected at most 65536 bytes, got 70000"),
    ],
)
def test_bytes_that_are_no_command_are_refused(payload: bytes, message: str) -> None:
    """Anything may arrive on a topic; it ends in one error."""
    with pytest.raises(CloudEventError, match=message):
        commands.decode_command(payload)


def test_unknown_ack_state_is_refused() -> None:
    """An ack's state is one of the list."""
    payload = commands.Ack("c", "run", "succeeded", "2026-01-01T00:00:00Z").encode()

    with pytest.raises(CloudEventError, match=r"expected `state` to be one of received, .*got 'done'"):
        commands.decode_ack(payload.replace(b'"succeeded","step"', b'"done","step"'))


def test_command_ids_follow_from_the_decision() -> None:
    """The same decision has the same id, another position or incident another."""
    first = commands.command_id("run", "incident", "save", 0)

    assert first == commands.command_id("run", "incident", "save", 0)
    assert first != commands.command_id("run", "incident", "save", 1)
    assert first != commands.command_id("run", "other", "save", 0)


@pytest.mark.parametrize(
    ("target", "rank", "node", "included"),
    [
        (commands.Target(), 5, "a", True),
        (commands.Target(ranks=[0]), None, "a", True),
        (commands.Target(ranks=[0, 2]), 1, "a", False),
        (commands.Target(node="b"), 1, "a", False),
    ],
)
def test_targets(target: commands.Target, rank: int | None, node: str, included: bool) -> None:
    """A target names ranks, a node, or everybody; a trainer without ranks is rank 0."""
    assert target.includes(rank, node) is included


@given(st.integers(0, 4_000_000_000 * 10**9))
def test_times_survive_to_the_microsecond(time_ns: int) -> None:
    """RFC 3339 keeps microseconds."""
    assert cloudevents.parse_rfc3339(cloudevents.rfc3339(time_ns)) == time_ns // 1000 * 1000


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000),
        ("1970-01-01T00:00:00.5Z", 500_000),
        ("1970-01-01T01:00:00.123456789+01:00", 123_456),
    ],
)
def test_times_of_other_senders_are_read(text: str, microseconds: int) -> None:
    """Any number of digits, any offset."""
    assert cloudevents.parse_rfc3339(text) == microseconds * 1000


def test_a_time_without_offset_is_refused() -> None:
    """A local time would be ambiguous."""
    with pytest.raises(ValueError, match="expected a time with an offset, got '2026-01-01T00:00:00'"):
        cloudevents.parse_rfc3339("2026-01-01T00:00:00")
