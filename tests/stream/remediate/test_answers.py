"""Answers: who speaks for whom, what an effect proves, and what is done when nobody answers."""

from __future__ import annotations

from typing import Any

from emitter.vocabulary import commands, topics
from stream import placements
from stream.records import Outgoing
from stream.remediate.facts import Fact
from stream.remediate.reports import Report, Source
from tests.stream.remediate.scenes import RUN, Scene


def test_a_run_heard_of_before_its_clock_is_not_forgotten_when_the_clock_begins() -> None:
    """It stays where it was placed."""
    scene = Scene()
    started = Fact(0, scene.wall_ns, rank=0, node="n1", state="started")
    scene.give(Report(Source("t", 1, 1, 1), scene.wall_ns, run="early", facts=(started,)))
    scene.tick(1, partition=1)
    assert scene.arbiter.state.hosts["n1"].keys() == {"early"}
    scene.tick(49 * 3600, partition=1)
    assert scene.arbiter.state.hosts == {}


def four(scene: Scene, **more: Any) -> Scene:
    """Four ranks on two nodes begin."""
    for rank in range(4):
        scene.lifecycle("started", rank=rank, world_size=4, node=f"node-{rank // 2}", **more)
    return scene


def test_the_supervisor_speaks_for_the_ranks_of_its_node() -> None:
    """A restart has succeeded when both supervisors said so for all four ranks."""
    scene = four(Scene())
    scene.fire("hung", at_s=1)
    (restart,) = scene.sent
    assert restart.target.ranks == "all"
    assert restart.target.node is None
    scene.ack(restart, commands.SUCCEEDED, executor="supervisor", detail={"ranks": [0, 1]})
    assert scene.story()[-1] == "sent restart"
    scene.ack(restart, commands.SUCCEEDED, executor="supervisor", detail={"ranks": [2, 3]})
    assert scene.story()[-1] == "succeeded restart"


def test_a_success_stands_whoever_else_is_asked_later() -> None:
    """The emitter of a rank may be told again after the supervisor acted."""
    scene = four(Scene())
    scene.fire("hung", at_s=1)
    (restart,) = scene.sent
    scene.ack(restart, commands.SUCCEEDED, executor="supervisor", detail={"ranks": [0, 1, 2]})
    scene.ack(restart, commands.RECEIVED, rank=2)
    scene.ack(restart, commands.SUCCEEDED, rank=3)
    assert scene.story()[-1] == "succeeded restart"


def test_nobody_who_could_do_it_is_a_failure_with_its_reason() -> None:
    """No actor runs: sent four times, then a person is told."""
    scene = Scene()
    scene.fire("broken-card", at_s=0, node="node-7")
    assert scene.sent[0].target.node == "node-7"
    for at_s in (30, 60, 90, 120):
        scene.tick(at_s)
    assert scene.story()[1:] == [
        "sent exclude_node", "resent exclude_node", "resent exclude_node", "resent exclude_node",
        "failed exclude_node", "escalated", "notified",
    ]  # fmt: skip
    assert scene.made[5].reason == "sent 4 times, and no actor answered"
    assert {command.id for command in scene.sent} == {scene.sent[0].id}


def test_an_actor_speaks_for_the_whole_run() -> None:
    """A program of the user's did what nothing of ours can do."""
    scene = four(Scene())
    scene.fire("broken-card", at_s=0, node="node-1")
    scene.ack(scene.sent[0], commands.SUCCEEDED, executor="actor:slurm")
    assert scene.story()[-1] == "succeeded exclude_node"


def test_ranks_that_never_answered_are_named() -> None:
    """Of four, two did it."""
    scene = four(Scene())
    scene.fire("best", at_s=0)
    for rank in (0, 2):
        scene.ack(scene.sent[0], commands.SUCCEEDED, rank=rank)
    for at_s in (30, 60, 90, 120):
        scene.tick(at_s)
    failed = next(d for d in scene.made if d.decision == "failed")
    assert failed.reason == "sent 4 times, and it is not done on rank 1, 3"


def test_what_runs_for_too_long_has_failed() -> None:
    """A save that began and never ended."""
    scene = Scene(finish_s=100.0)
    scene.fire("best", at_s=0)
    scene.ack(scene.sent[0], commands.RUNNING)
    scene.tick(99)
    assert scene.story()[-1] == "sent save"
    scene.tick(101)
    assert "failed save" in scene.story()


def test_a_scheduled_command_that_expires_is_given_up() -> None:
    """A hung loop comes to no boundary."""
    scene = Scene()
    scene.fire("best", at_s=0)
    scene.ack(scene.sent[0], commands.SCHEDULED)
    scene.tick(599)
    assert scene.story().count("resent save") == 0
    scene.tick(601)
    assert "expired save" in scene.story()


def test_the_next_attempt_proves_the_restart() -> None:
    """The process that was told may be gone before it could answer."""
    scene = four(Scene())
    scene.fire("hung", at_s=1)
    for rank in range(4):
        scene.lifecycle("killed", rank=rank, world_size=4)
    assert scene.story()[-1] == "sent restart"
    four(scene, attempt=1)
    assert scene.story()[-1] == "succeeded restart"
    scene.tick(60)
    assert scene.published[-1]["state"] == "resolved"


def test_a_restart_after_which_nothing_begins_has_failed() -> None:
    """A person is told; the incident ends as failed."""
    scene = four(Scene(restart_s=100.0))
    scene.fire("hung", at_s=1)
    for rank in range(4):
        scene.lifecycle("killed", rank=rank, world_size=4)
    scene.tick(101)
    assert scene.story()[2:] == ["failed restart", "escalated", "notified", "closed"]
    assert scene.published[-1]["state"] == "failed"


def test_a_crash_that_the_supervisor_mended_is_a_resolved_incident() -> None:
    """Nothing was decided here; what it cost is known."""
    scene = four(Scene("shadow"))
    scene.checkpoint(100, at_s=0)
    scene.tick(10)
    for rank in range(4):
        scene.lifecycle("failed", rank=rank, world_size=4)
    scene.fire("hung", at_s=11, step=130, evidence={})
    scene.tick(20)
    four(scene, attempt=1)
    scene.tick(60)
    last = scene.published[-1]
    assert (last["state"], last["cost"]["lost_steps"]) == ("resolved", 30)
    assert last["cost"]["lost_seconds"] == 20.0


def test_a_supervisor_that_backs_off_keeps_the_incident_open() -> None:
    """And is no rank: its words neither begin nor end one."""
    scene = Scene(restart_s=100.0)
    scene.lifecycle("started", rank=0)
    scene.fire("hung", at_s=1)
    scene.lifecycle("stalled")
    scene.lifecycle("killed", rank=0)
    scene.tick(90)
    scene.lifecycle("restarting")
    scene.tick(189)
    assert scene.incident is not None
    scene.lifecycle("launched", attempt=1)
    assert scene.run().attempt == 0
    scene.lifecycle("started", rank=0, attempt=1)
    assert scene.story()[-1] == "succeeded restart"


def test_a_supervisor_that_gave_up_ends_the_run() -> None:
    """At once: nothing will follow."""
    scene = Scene("shadow")
    scene.lifecycle("started", rank=0)
    scene.fire("hung", at_s=1)
    scene.lifecycle("failed", rank=0)
    scene.lifecycle("gave_up")
    assert scene.story()[-1] == "closed"
    assert scene.published[-1]["state"] == "ended"


def test_a_rollback_waits_while_a_restart_of_another_incident_is_under_way() -> None:
    """Two that tear the run down at once would be one too many."""
    scene = Scene()
    scene.fire("hung", at_s=1)
    scene.fire("loss-not-finite", at_s=2)
    assert [c.action for c in scene.sent] == ["restart"]
    scene.ack(scene.sent[0], commands.SUCCEEDED)
    scene.tick(3)
    assert [c.action for c in scene.sent] == ["restart", "save"]


def test_the_pause_of_one_run_never_holds_another() -> None:
    """What one run waits for is its own affair."""
    scene = Scene()
    scene.fire(at_s=0)
    scene.ack(scene.sent[0], commands.FAILED)
    scene.tick(300)
    assert scene.sent[-1].action == "pause"
    for number in range(3):
        scene.fire(at_s=301, run=f"other-{number}", id=f"o{number}")
        mine = [c for c in scene.sent if c.run == f"other-{number}"]
        scene.ack(mine[0], commands.SUCCEEDED)
    assert [c.action for c in scene.sent if c.run != RUN] == ["save", "rollback"] * 3
    assert scene.incident is not None
    assert scene.incident.state.value == "acting"


def places(scene: Scene) -> dict[str, dict[str, placements.Placed]]:
    """What the records of train.placements add up to."""
    written = [one for one in scene.all if isinstance(one, Outgoing) and one.topic == topics.TRAIN_PLACEMENTS]
    return dict(placements.decode(one.key, one.value) for one in written)


def test_hosts_are_said_to_carry_the_runs_that_are_on_them() -> None:
    """Ranks, attempt and name; they go away with the run."""
    scene = four(Scene(), run_name="gpt")
    scene.lifecycle("started", run="run-2", rank=0, node="node-1")
    assert places(scene)["node-0"] == {RUN: placements.Placed(RUN, 0, (0, 1), "gpt")}
    assert places(scene)["node-1"] == {
        RUN: placements.Placed(RUN, 0, (2, 3), "gpt"), "run-2": placements.Placed("run-2", 0, (0,)),
    }  # fmt: skip
    for rank in range(4):
        scene.lifecycle("finished", rank=rank, world_size=4)
    assert places(scene) == {"node-0": {}, "node-1": {"run-2": placements.Placed("run-2", 0, (0,))}}


def test_the_next_attempt_may_be_elsewhere() -> None:
    """Only where it is now counts."""
    scene = Scene()
    scene.lifecycle("started", rank=0, node="a")
    scene.lifecycle("started", rank=0, node="b", attempt=1)
    assert places(scene) == {"a": {}, "b": {RUN: placements.Placed(RUN, 1, (0,))}}
