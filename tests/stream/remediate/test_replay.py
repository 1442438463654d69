"""Whoever reads the log again decides the same: a worker killed between any two steps loses nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emitter.vocabulary import cloudevents, commands, topics
from emitter.vocabulary.commands import Command
from stream.records import Incoming, Outgoing
from stream.remediate.holder import Holder
from stream.remediate.settings import Breaker, Settings
from tests.stream.remediate.scenes import START_NS, Scene, log_record

SETTINGS = Settings(mode="act", breaker=Breaker(2, 300.0))


def long_story() -> Scene:
    """Everything that happens to commands, once: sent, resent, failed, held, approved, suppressed, ended."""
    scene = Scene("act", breaker=Breaker(2, 300.0))
    for rank in (0, 1):
        scene.lifecycle("started", rank=rank, world_size=2, node="a")
    scene.checkpoint(100, at_s=0)
    scene.fire(at_s=1)
    scene.tick(31)
    for rank in (0, 1):
        scene.ack(scene.sent[0], commands.SUCCEEDED, rank=rank)
    scene.ack(scene.sent[-1], commands.FAILED, rank=1, reason="no")
    scene.fire("quiet", at_s=32)
    scene.silence(500, rule="told")
    scene.fire("told", at_s=33)
    scene.tick(320)
    for rank in (0, 1):
        scene.ack(scene.sent[-1], commands.SUCCEEDED, rank=rank)
    scene.resolve(at_s=1)
    for number in range(4):
        scene.fire("hung", at_s=330, run=f"other-{number}", id=f"o{number}")
    scene.say("reset_breaker")
    scene.lifecycle("started", run="other-9", rank=0, mode="approve")
    scene.fire("hung", at_s=340, run="other-9", id="o9")
    held = next(d.command for d in scene.made if d.decision == "held")
    assert held is not None
    scene.tick(400)
    scene.say("approve", command=held.id)
    scene.ack(scene.sent[-1], commands.SUCCEEDED)
    for rank in (0, 1):
        scene.lifecycle("finished", rank=rank, world_size=2, node="a")
    return scene


@dataclass
class Topics:
    """The topics as a broker keeps them, and an executor that obeys a command id once."""

    scene: Scene
    written: list[Outgoing] = field(default_factory=list)
    executed: dict[str, int] = field(default_factory=dict)
    refused_as_known: int = 0

    def holder(self) -> Holder:
        return Holder(SETTINGS, lambda value: [], lambda: START_NS)

    def log(self) -> list[Incoming]:
        return [
            Incoming(topics.REMEDIATION_INTENTS, 0, offset, log_record(report), timestamp_ms=offset)
            for offset, report in enumerate(self.scene.log)
        ]

    def write(self, records: list[Outgoing]) -> None:
        for record in records:
            self.written.append(record)
            if record.topic == topics.REMEDIATION_COMMANDS:
                self._obey(commands.decode_command(record.value))

    def _obey(self, command: Command) -> None:
        if command.id in self.executed:
            self.refused_as_known += 1
        else:
            self.executed[command.id] = 1

    def ledger(self) -> dict[str, bytes]:
        """What was written on intents, by the id of its event; the same id has to be the same bytes."""
        found: dict[str, bytes] = {}
        for record in self.written:
            if record.topic != topics.REMEDIATION_INTENTS:
                continue
            identity = json.loads(record.value)["id"]
            assert found.setdefault(identity, record.value) == record.value
        return found


def undisturbed(scene: Scene) -> Topics:
    """One worker, from the first record to the last."""
    world = Topics(scene)
    holder = world.holder()
    holder.begin([], keep_breaker=False)
    for record in world.log():
        world.write(holder.intent(record))
    return world


@pytest.mark.parametrize("written", [0.0, 0.5, 1.0])
def test_a_worker_killed_between_any_two_steps_repeats_nothing_and_loses_nothing(written: float) -> None:
    """At each record: decided, nothing or half or all of it written, not committed; then killed."""
    scene = long_story()
    whole = undisturbed(scene)
    assert {"sent", "resent", "failed", "held", "approved", "suppressed", "closed", "breaker_tripped"} <= {
        json.loads(value)["data"].get("decision") for value in whole.ledger().values()
    }
    for death in range(len(scene.log)):
        world = Topics(scene)
        first, log = world.holder(), world.log()
        first.begin([], keep_breaker=False)
        for record in log[:death]:
            world.write(first.intent(record))
        dying = first.intent(log[death])
        world.write(dying[: int(len(dying) * written)])
        second = world.holder()  # nothing but the log is left
        second.begin(log[:death], keep_breaker=False)
        for record in log[death:]:
            world.write(second.intent(record))
        assert world.ledger() == whole.ledger()
        assert world.executed == whole.executed


def test_a_worker_that_is_always_killed_before_it_commits_decides_the_same() -> None:
    """Each record is handled by a worker of its own, twice."""
    scene = long_story()
    whole, world = undisturbed(scene), Topics(scene)
    log = world.log()
    for number, record in enumerate(log):
        for _ in range(2):
            holder = world.holder()
            holder.begin(log[:number], keep_breaker=False)
            world.write(holder.intent(record))
    assert world.ledger() == whole.ledger()
    assert world.executed == whole.executed
    assert world.refused_as_known > 0


def test_partitions_that_report_again_after_a_crash_change_nothing() -> None:
    """A worker that reads what its predecessor had not committed writes the same reports once more."""
    scene = long_story()
    whole = undisturbed(scene)
    for start in range(0, len(scene.log), 3):
        again = Scene()
        again.log = scene.log[: start + 5] + scene.log[start:]
        assert undisturbed(again).ledger() == whole.ledger()


def test_a_log_of_the_embedded_broker_that_begins_again_keeps_breaker_and_silences() -> None:
    """The rest is as if nothing had been: what was under way was lost with the broker."""
    scene = long_story()
    holder = Topics(scene).holder()
    reset = next(
        n for n, one in enumerate(scene.log) if one.word and one.word.data["kind"] == "reset_breaker"
    )
    holder.begin(Topics(scene).log()[:reset], keep_breaker=False)
    assert holder.arbiter is not None
    assert holder.arbiter.state.tripped is not None
    holder.begin([], keep_breaker=True)
    assert holder.arbiter.state.tripped is not None
    assert "s1" in holder.arbiter.state.silences
    assert holder.arbiter.state.runs == {}


RULES = ["gradient-explosion", "loss-not-finite", "hung", "told", "best", "timeout", "broken-card"]
STEPS = st.one_of(
    st.tuples(st.just("fire"), st.sampled_from(RULES), st.integers(0, 2), st.integers(0, 1)),
    st.tuples(st.just("resolve"), st.sampled_from(RULES), st.integers(0, 2), st.integers(0, 1)),
    st.tuples(st.just("ack"), st.sampled_from(commands.ACK_STATES), st.integers(0, 9), st.integers(0, 1)),
    st.tuples(
        st.just("life"), st.sampled_from(["started", "finished", "failed", "killed"]), st.integers(0, 2),
        st.integers(0, 1),
    ),
    st.tuples(st.just("tick"), st.just(""), st.sampled_from([1, 31, 301, 2000, 4000]), st.just(0)),
    st.tuples(
        st.just("say"), st.sampled_from(["approve", "reject", "reset_breaker"]), st.integers(0, 9), st.just(0)
    ),
)  # fmt: skip


def play(scene: Scene, steps: list[tuple[str, str, int, int]]) -> None:
    """Do whatever comes."""
    at_s = 0.0
    for number, (what, word, count, other) in enumerate(steps):
        if what == "fire":
            scene.fire(word, at_s=at_s, attempt=count, run=f"run-{other}", id=f"{word}-{count}-{other}")
        elif what == "resolve":
            scene.resolve(word, at_s=at_s, attempt=count, run=f"run-{other}", id=f"{word}-{count}-{other}")
        elif what == "life":
            scene.lifecycle(word, run=f"run-{other}", rank=0, attempt=count)
        elif what == "tick":
            at_s += count
            scene.tick(at_s)
        elif what == "ack" and scene.sent:
            scene.ack(scene.sent[count % len(scene.sent)], word, rank=0)
        elif what == "say":
            held = [d.command for d in scene.made if d.decision == "held" and d.command is not None]
            about = held[count % len(held)].id if held else "none"
            scene.say(word, author=f"a{number}", command=about if word != "reset_breaker" else None)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(["act", "approve", "shadow"]), st.lists(STEPS, max_size=30), st.integers(0, 40))
def test_whatever_happens_the_policy_keeps_its_promises(
    mode: str, steps: list[tuple[str, str, int, int]], death: int
) -> None:
    """No forbidden change of state; ids are unique; shadow sends nothing; what ends is sent no more."""
    scene = Scene(mode, breaker=Breaker(1, 100.0))
    play(scene, steps)
    ids = [decision.id for decision in scene.made]
    assert len(set(ids)) == len(ids)
    if mode == "shadow":
        assert scene.sent == []
    if mode == "approve":
        approved = {d.command.id for d in scene.made if d.decision == "approved" and d.command is not None}
        assert {c.id for c in scene.sent if c.action in commands.DESTRUCTIVE} <= approved
    done = set()
    for decision in scene.made:
        command = decision.command
        if command is None:
            continue
        if decision.decision in ("sent", "resent"):
            assert command.id not in done
        if decision.decision in ("succeeded", "failed", "expired", "withdrawn", "rejected"):
            done.add(command.id)
    assert all(c.attempt <= scene.run(c.run).attempt for c in scene.sent if c.run in scene.arbiter.state.runs)
    # Read again from the log, with a death somewhere: the same.
    again = Scene(mode, breaker=Breaker(1, 100.0))
    again.all.clear()
    again.log.clear()
    again.arbiter = type(again.arbiter)(again.settings)
    for number, report in enumerate(scene.log):
        if number == death:
            arbiter = type(again.arbiter)(again.settings)
            for earlier in scene.log[:number]:
                arbiter.take(earlier)
            again.arbiter = arbiter
        again.give(report)
    assert [d.to_json() for d in again.made] == [d.to_json() for d in scene.made]
    assert again.published == scene.published


def test_an_incident_has_the_type_that_others_look_for() -> None:
    """A CloudEvent whose id has the number of the change."""
    scene = Scene()
    scene.fire()
    (record,) = [one for one in scene.all if isinstance(one, Outgoing)]
    event = json.loads(record.value)
    assert (event["type"], event["id"]) == (cloudevents.INCIDENT, f"{event['data']['id']}/1")
    assert record.key == b"run-1"
