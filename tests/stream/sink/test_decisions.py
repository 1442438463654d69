"""Diagnoses, commands, acks and the ledger to rows."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import replace
from typing import Any

import pytest

from emitter.vocabulary import cloudevents, topics
from emitter.vocabulary.commands import Ack, Command, Reason, Target
from emitter.vocabulary.control import Control, Silence
from emitter.vocabulary.diagnoses import Diagnosis
from tests.stream.sink.build import listed, record, rows_of

WHEN = "2026-09-21T11:33:20.000001Z"
WHEN_NS = 1_789_990_400_000_001_000
DIAGNOSIS = Diagnosis(
    id="d1", rule="loss-spike", category="loss_spike", severity="warning", state="firing", run="run-1",
    time=WHEN, summary="schlümm", attempt=1, rank=3, step=7, epoch=math.nan,
    evidence={"loss": math.inf, "since_step": 6}, suggestions=["a", "b"], then=["save"],
)  # fmt: skip


def one(payload: bytes, topic: str, table: str) -> dict[str, Any]:
    (row,) = listed(rows_of(record(payload, topic)).arrow()[table])
    return row


def test_a_diagnosis_is_a_row() -> None:
    """All keys; evidence as JSON in which numbers that are not finite are strings."""
    row = one(DIAGNOSIS.encode(), topics.TRAIN_DIAGNOSES, "train_diagnoses")

    assert math.isnan(row.pop("epoch"))
    assert row == {
        "id": "d1", "rule": "loss-spike", "category": "loss_spike", "severity": "warning", "state": "firing",
        "run": "run-1", "attempt": 1, "rank": 3, "node": "", "role": "", "time": WHEN_NS, "step": 7,
        "file": "", "line": None, "rule_version": "", "summary": "schlümm",
        "evidence": '{"loss":"Infinity","since_step":6}', "suggestions": ["a", "b"], "then": ["save"],
        "src_topic": "train.diagnoses", "src_partition": 1, "src_offset": 7,
    }  # fmt: skip


def test_a_command_is_a_row() -> None:
    """Arguments and target as JSON, the reason in columns."""
    command = Command(
        id="c1", run="run-1", action="rollback", issued=WHEN, expires=WHEN, args={"before_step": 6},
        target=Target([0, 1], "node-a"), reason=Reason("d1", "loss-spike", "why"),
    )  # fmt: skip

    row = one(command.encode(), topics.REMEDIATION_COMMANDS, "train_commands")

    assert (row["args"], row["target"]) == ('{"before_step":6}', '{"node":"node-a","ranks":[0,1]}')
    assert (row["diagnosis"], row["rule"], row["summary"]) == ("d1", "loss-spike", "why")
    assert (row["issued"], row["expires"]) == (WHEN_NS, WHEN_NS)


def test_an_ack_is_a_row() -> None:
    """Missing rank, step and duration are -1 and null."""
    ack = Ack(command="c1", run="run-1", state="rejected", time=WHEN, reason="expired", detail={"a": 1})

    row = one(ack.encode(), topics.REMEDIATION_ACKS, "train_acks")

    assert (row["command"], row["state"], row["reason"], row["detail"]) == (
        "c1",
        "rejected",
        "expired",
        '{"a":1}',
    )
    assert (row["rank"], row["step"], row["duration"], row["executor"]) == (-1, None, None, "emitter")


def test_a_decision_is_a_row() -> None:
    """The command it made is named by its id."""
    data = {"id": "x/sent", "decision": "sent", "run": "run-1", "attempt": 0, "time": WHEN, "incident": "i1",
            "position": 2, "command": {"id": "c1"}, "action": "save"}  # fmt: skip
    payload = cloudevents.encode(cloudevents.INTENT, "x/sent", "run-1", WHEN, data)

    row = one(payload, topics.REMEDIATION_INTENTS, "train_decisions")

    assert (row["incident"], row["decision"], row["action"], row["position"]) == ("i1", "sent", "save", 2)
    assert (row["command"], row["diagnosis"], row["reason"]) == ("c1", "", "")


def test_a_decision_of_a_person_names_the_person() -> None:
    """With the key that signed, and what was said."""
    data = {"id": "control/x/refused", "decision": "refused", "run": "", "attempt": 0, "time": WHEN,
            "author": "ann", "key": "k1", "severity": None, "detail": {"kind": "approve"}}  # fmt: skip
    payload = cloudevents.encode(cloudevents.INTENT, "control/x/refused", "", WHEN, data)

    row = one(payload, topics.REMEDIATION_INTENTS, "train_decisions")

    assert (row["author"], row["key"], row["detail"], row["run"]) == ("ann", "k1", '{"kind":"approve"}', "")


INCIDENT = {
    "id": "i1", "seq": 3, "run": "run-1", "run_name": "gpt", "attempt": 1, "state": "resolved", "time": WHEN,
    "began": WHEN, "ended": WHEN, "outcome": "resolved", "symptoms": [], "timeline": [{"kind": "sent"}],
    "cause": {"rule": "hung", "category": "hang", "severity": "critical", "summary": "no progress"},
    "actions": [{"action": "restart"}], "left_out": 0,
    "cost": {"lost_steps": 7, "lost_seconds": 1.5, "gpu_seconds": 12.0},
}  # fmt: skip


def test_an_incident_is_a_row_for_each_change() -> None:
    """The cause and the cost in columns, the rest as JSON."""
    payload = cloudevents.encode(cloudevents.INCIDENT, "i1/3", "run-1", WHEN, INCIDENT)

    row = one(payload, topics.REMEDIATION_INTENTS, "train_incident_changes")

    assert (row["id"], row["seq"], row["state"], row["ended"]) == ("i1", 3, "resolved", WHEN_NS)
    assert (row["rule"], row["category"], row["severity"]) == ("hung", "hang", "critical")
    assert (row["lost_steps"], row["lost_seconds"], row["gpu_seconds"]) == (7, 1.5, 12.0)
    assert (row["timeline"], row["actions"]) == ('[{"kind":"sent"}]', '[{"action":"restart"}]')


def test_an_incident_that_is_open_has_no_end() -> None:
    """Null; and one without a cause is refused."""
    payload = cloudevents.encode(
        cloudevents.INCIDENT, "i1/1", "run-1", WHEN, {**INCIDENT, "ended": None, "outcome": None}
    )
    row = one(payload, topics.REMEDIATION_INTENTS, "train_incident_changes")
    assert (row["ended"], row["outcome"]) == (None, "")
    bad = cloudevents.encode(cloudevents.INCIDENT, "i1/1", "run-1", WHEN, {**INCIDENT, "cause": None})
    assert rows_of(record(bad, topics.REMEDIATION_INTENTS)).bad == 1


def test_reports_of_the_workers_are_no_history() -> None:
    """They lie on the same topic."""
    payload = cloudevents.encode("io.trainwarden.report.v1", "x", "run-1", WHEN, {"run": "run-1"})

    rows = rows_of(record(payload, topics.REMEDIATION_INTENTS))

    assert (rows.bad, rows.arrow()) == (0, {})


def test_a_word_of_a_person_is_a_row() -> None:
    """Believed or not."""
    said = Control("silence", "ann", WHEN, reason="r", silence=Silence("s1", rule="slow", ends=WHEN))

    row = one(said.encode(), topics.REMEDIATION_CONTROL, "train_control")

    assert (row["id"], row["kind"], row["author"], row["time"]) == (said.id, "silence", "ann", WHEN_NS)
    assert json.loads(row["silence"])["rule"] == "slow"


WRONG = {
    "rule": (5, "`rule` to be a string, got 5"),
    "attempt": (-1, "`attempt` to be an integer from 0 to 65535, got -1"),
    "rank": (1.5, "`rank` to be a 64-bit integer or null, got 1.5"),
    "step": (2**63, "`step` to be a 64-bit integer or null, got 9223372036854775808"),
    "epoch": ("soon", "`epoch` to be a number or null, got 'soon'"),
    "time": ("yesterday", "`time` to be a time like 2026-01-01T00:00:00.000000Z, got 'yesterday'"),
    "evidence": ([1], "`evidence` to be an object, got [1]"),
    "then": (["a", 1], "`then` to be a list of strings, got ['a', 1]"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_field_of_the_wrong_type_costs_one_clear_error(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """The record is named with its coordinates and left out; the one after it goes in."""
    value, message = WRONG[name]
    data = {**DIAGNOSIS.to_json(), name: value}
    bad = cloudevents.encode(cloudevents.DIAGNOSIS, "x", "run-1", WHEN, data)

    with caplog.at_level(logging.ERROR):
        rows = rows_of(
            record(bad, topics.TRAIN_DIAGNOSES), record(DIAGNOSIS.encode(), topics.TRAIN_DIAGNOSES)
        )

    assert (rows.bad, rows.arrow()["train_diagnoses"].num_rows) == (1, 1)
    assert [item.message for item in caplog.records] == [
        f"train.diagnoses[1]@7: not stored in history: diagnosis: expected {message}"
    ]


def test_half_a_surrogate_pair_is_stored_as_a_question_mark() -> None:
    """JSON can spell what UTF-8 cannot hold."""
    payload = replace(DIAGNOSIS, summary="?", evidence={"text": "?"}).encode().replace(b'"?"', rb'"\ud800"')

    row = one(payload, topics.TRAIN_DIAGNOSES, "train_diagnoses")

    assert (row["summary"], json.loads(row["evidence"])) == ("?", {"text": "?"})


@pytest.mark.parametrize(
    ("topic", "payload", "message"),
    [
        (topics.OTLP_LOGS, b"\xff\xff", "expected an ExportLogsServiceRequest in protobuf, got 2 bytes"),
        (topics.OTLP_SPANS, b"\xff", "expected an ExportTraceServiceRequest in protobuf, got 1 bytes"),
        (topics.OTLP_METRICS, b"\x1f\x8b\x00", "they look like gzip"),
        (topics.TRAIN_DIAGNOSES, b"", "expected a CloudEvent in JSON"),
        (topics.REMEDIATION_COMMANDS, b"[]", "expected a CloudEvent object, got list"),
        (topics.REMEDIATION_ACKS, b"{}", "expected a CloudEvent of type 'io.trainwarden.ack.v1'"),
        (topics.REMEDIATION_CONTROL, b"{}", "expected a CloudEvent of type 'io.trainwarden.control.v1'"),
        (topics.REMEDIATION_INTENTS, b"null", "expected a CloudEvent object, got NoneType"),
    ],
)
def test_malformed_bytes_cost_one_clear_error(
    topic: str, payload: bytes, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each topic says what it expected there."""
    with caplog.at_level(logging.ERROR):
        rows = rows_of(record(payload, topic))

    assert (rows.bad, rows.arrow()) == (1, {})
    (said,) = caplog.messages
    assert said.startswith(f"{topic}[1]@7: not stored in history: ")
    assert message in said


def test_a_flood_of_bad_records_does_not_flood_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Five are named, then one line says that there are more; all are counted."""
    with caplog.at_level(logging.ERROR):
        rows = rows_of(*(record(b"\xff", offset=offset) for offset in range(100)))

    assert rows.bad == 100
    assert len(caplog.messages) == 6
    assert "and more of this batch" in caplog.messages[-1]
