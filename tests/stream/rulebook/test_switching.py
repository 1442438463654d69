"""What the stages make of a change of rules on ``train.events``."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emitter.vocabulary import topics
from emitter.vocabulary.diagnoses import FIRING, Diagnosis
from stream import events
from stream.diagnose.batches import batches
from stream.diagnose.inbox import Inbox
from stream.records import BadRecordError, Incoming
from stream.remediate import reports
from stream.remediate.reporter import Reporter
from stream.rulebook.bundle import Bundle
from stream.rulelang import load_texts

PACK = """
pack: own
rules:
  - id: {name}
    category: divergence
    summary: "Loss {{loss:g}}"
    on: train.step
    when: loss > {limit}
    then: [{{{action}: {{}}}}]
"""


def _bundle(limit: float, name: str = "high", action: str = "save") -> Bundle:
    return Bundle({"own.yaml": PACK.format(limit=limit, name=name, action=action)})


def _inbox(one: Bundle) -> Inbox:
    return Inbox(one.load(), one.encode())


class _Log:
    """``train.events`` of a few partitions, read by one stage."""

    def __init__(self) -> None:
        self.offsets: dict[int, int] = {}

    def record(self, partition: int, message: events.Message) -> Incoming:
        offset = self.offsets.get(partition, 0)
        self.offsets[partition] = offset + 1
        return Incoming(topics.TRAIN_EVENTS, partition, offset, events.encode(message))

    def switch(self, partition: int, one: Bundle) -> Incoming:
        return self.record(partition, events.Rules(events.VERSION, one.digest, one.encode()))

    def loss(self, partition: int, run: str, value: float) -> Incoming:
        (batch,) = batches([{"step": 1, "rank": 0, "loss": value}], run=run)
        return self.record(partition, batch)


def _states(made: list[Any]) -> list[str]:
    return [json.loads(one.value)["data"]["state"] for one in made]


def test_each_partition_switches_at_its_own_offset() -> None:
    """One that lags is still judged by the rules that were in force at its offset."""
    log, inbox = _Log(), _inbox(_bundle(10))
    for partition in (0, 1):
        assert inbox.event(log.loss(partition, f"warm-{partition}", 1.0)) == []
    assert inbox.event(log.switch(0, _bundle(100))) == []
    assert inbox.event(log.loss(0, "a", 50.0)) == []
    assert _states(inbox.event(log.loss(1, "b", 50.0))) == [FIRING]
    assert _states(inbox.event(log.switch(1, _bundle(100)))) == ["resolved"]
    assert inbox.event(log.loss(1, "c", 50.0)) == []


def test_a_partition_that_begins_afresh_keeps_the_rules_it_was_switched_to() -> None:
    """Another partition that reads an older change later does not take them from it."""
    log, inbox = _Log(), _inbox(_bundle(10))
    inbox.event(log.switch(0, _bundle(100)))
    inbox.event(log.switch(1, _bundle(20)))
    log.offsets[0] += 5  # a gap: the engine of this partition is made anew
    assert inbox.event(log.loss(0, "a", 50.0)) == []
    assert _states(inbox.event(log.loss(1, "b", 50.0))) == [FIRING]


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"no bundle", "rules 0123: rules: not a bundle"),
        (Bundle({"own.yaml": "pack: own\nrules: 3\n"}).encode(), "expected `rules` to be a list"),
    ],
)
def test_rules_that_do_not_load_are_set_aside(payload: bytes, message: str) -> None:
    """The record is a dead letter that says why, for both stages, and the old rules stay."""
    log, rules = _Log(), load_texts(_bundle(10).texts)
    inbox, remediation = _inbox(_bundle(10)), Reporter(rules, _believe_nobody, lambda: 0)
    record = log.record(0, events.Rules(events.VERSION, "0123", payload))
    for stage in (inbox.event, remediation.event):
        with pytest.raises(BadRecordError, match=message):
            stage(record)
    assert _states(inbox.event(log.loss(0, "a", 50.0))) == [FIRING]


def _believe_nobody(value: bytes, headers: dict[str, bytes]) -> str:
    raise AssertionError("nothing is said here")


def _planned(remediation: Reporter, partition: int, run: str, rule: str) -> list[str] | None:
    """The actions that remediation is told with a firing of this rule; None: there is no such rule."""
    made = Diagnosis(f"{run}-{rule}", rule, "divergence", "warning", FIRING, run, "2026-01-01T00:00:00Z", "s")
    record = Incoming(topics.TRAIN_DIAGNOSES, partition, 0, made.encode(), run.encode())
    (told,) = remediation.diagnosis(record)
    report = reports.decode(told.value)
    assert report is not None
    return None if report.plan is None else [action.name for action in report.plan.then]


def test_remediation_follows_partition_by_partition() -> None:
    """The actions of a rule are those of the rules in force on its run's partition."""
    log, remediation = _Log(), Reporter(load_texts(_bundle(10).texts), _believe_nobody, lambda: 0)
    remediation.event(log.switch(0, _bundle(10, action="pause")))
    remediation.event(log.switch(1, _bundle(10, name="other")))
    assert _planned(remediation, 0, "a", "high") == ["pause"]
    assert _planned(remediation, 1, "b", "high") is None
    assert _planned(remediation, 1, "c", "other") == ["save"]
