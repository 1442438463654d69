"""What remediation decides, input by input."""

from __future__ import annotations

import pytest

from emitter.vocabulary import commands
from emitter.vocabulary.commands import command_id
from tests.stream.remediate.scenes import RUN, START_NS, Scene


def test_actions_go_out_in_order_each_once_the_one_before_ended_well() -> None:
    """A firing diagnosis sends its first action; the second follows the first one's success."""
    scene = Scene()
    scene.fire(at_s=1)
    assert scene.story() == ["opened", "sent save"]
    scene.ack(scene.sent[0], commands.RECEIVED)
    scene.ack(scene.sent[0], commands.RUNNING)
    assert [c.action for c in scene.sent] == ["save"]
    scene.ack(scene.sent[0], commands.SUCCEEDED)
    assert scene.story()[2:] == ["succeeded save", "sent rollback"]
    scene.ack(scene.sent[1], commands.SUCCEEDED)
    scene.resolve(at_s=1)
    assert scene.story()[4:] == ["succeeded rollback", "withdrawn pause"]
    scene.tick(31)
    assert scene.story()[6:] == ["closed"]


def test_command_ids_follow_from_the_decision() -> None:
    """Two workers that decide the same send the same command ids."""
    first, second = Scene(), Scene()
    for scene in (first, second):
        scene.fire(at_s=1)
    assert first.sent == second.sent
    incident = first.incident
    assert incident is not None
    assert first.sent[0].id == command_id(RUN, incident.id, "save", 0)


def test_a_save_during_a_numerics_incident_is_forensic() -> None:
    """The weights may be spoilt, so the save is kept apart."""
    scene = Scene()
    scene.fire()
    assert scene.sent[0].args == {"kind": "forensic"}


def test_rollback_names_the_newest_verified_checkpoint_from_before_the_trouble() -> None:
    """Not a later, forensic, unverified or failed one."""
    scene = Scene()
    scene.checkpoint(50, at_s=1)
    scene.checkpoint(100, at_s=2)
    scene.checkpoint(110, at_s=3, **{"checkpoint.kind": "forensic"})
    scene.checkpoint(111, at_s=3, **{"checkpoint.verified": False})
    scene.checkpoint(118, at_s=4)
    scene.checkpoint(117, at_s=9)
    scene.fire(at_s=5)
    scene.ack(scene.sent[0], commands.SUCCEEDED)
    assert scene.sent[1].args == {
        "lr_scale": 0.5,
        "before_step": 118,
        "before_time": "2026-01-01T00:00:05.000000Z",
        "checkpoint": {"step": 100, "path": "/c/100"},
    }


def test_rollback_without_a_checkpoint_says_so() -> None:
    """The trainer decides what to do when there is none."""
    scene = Scene()
    scene.fire()
    scene.ack(scene.sent[0], commands.SUCCEEDED)
    assert scene.sent[1].args["checkpoint"] is None


def test_a_rollback_that_was_done_forgets_the_stretch_it_undid() -> None:
    """Checkpoints between the first bad step and the rollback are never a target again."""
    scene = Scene()
    scene.checkpoint(100, at_s=1)
    scene.fire(at_s=5)
    scene.checkpoint(125, at_s=6)
    scene.ack(scene.sent[0], commands.SUCCEEDED)
    scene.ack(scene.sent[1], commands.SUCCEEDED)
    scene.resolve(at_s=5)
    scene.tick(700)
    scene.fire("loss-not-finite", at_s=700, step=300, evidence={"since_step": 300})
    scene.ack(scene.sent[2], commands.SUCCEEDED)
    assert scene.sent[3].args["checkpoint"] == {"step": 100, "path": "/c/100"}


def test_approve_holds_what_is_destructive() -> None:
    """In mode approve a save is sent, a rollback is recorded as held and nothing after it is sent."""
    scene = Scene("approve")
    scene.fire()
    scene.ack(scene.sent[0], commands.SUCCEEDED)
    assert scene.story() == ["opened", "sent save", "succeeded save", "held rollback"]
    held = scene.made[-1]
    assert held.command is not None
    assert held.command.args["lr_scale"] == 0.5
    assert [c.action for c in scene.sent] == ["save"]


def test_shadow_records_everything_and_sends_nothing() -> None:
    """What would have been done stands on remediation.intents alone."""
    scene = Scene("shadow")
    scene.fire()
    assert scene.story() == ["opened", "shadow save", "shadow rollback"]
    assert scene.sent == []


def test_the_stricter_of_rule_and_global_mode_holds() -> None:
    """A rule in shadow stays there when the worker acts."""
    scene = Scene("act")
    scene.fire("quiet")
    assert scene.story() == ["opened", "shadow save", "shadow stop"]


def test_notify_is_recorded_and_not_sent_to_the_trainer() -> None:
    """The record on remediation.intents is the notification."""
    scene = Scene()
    scene.fire("told")
    assert scene.story() == ["opened", "notified notify"]
    assert scene.sent == []


@pytest.mark.parametrize("answer", [commands.REJECTED, commands.FAILED, commands.EXPIRED])
def test_nothing_follows_an_action_that_ended_badly(answer: str) -> None:
    """No rollback after a save that did not happen: a person is told; the rest is withdrawn."""
    scene = Scene()
    scene.fire()
    scene.ack(scene.sent[0], answer, reason="no_handler", rank=0)
    assert scene.story()[2:] == ["failed save", "escalated", "notified"]
    assert scene.made[2].reason == f"rank 0: {answer}: no_handler"
    assert scene.made[4].reason == f"needs a person: save: rank 0: {answer}: no_handler"
    scene.resolve()
    assert scene.story()[5:] == ["withdrawn rollback", "withdrawn pause"]
    scene.tick(30)
    assert scene.story()[7:] == ["closed"]
    assert len(scene.sent) == 1


def test_escalation_goes_by_the_clock_even_after_a_failure() -> None:
    """`if_unresolved: 5m` is sent five minutes after the firing, while it still fires."""
    scene = Scene()
    scene.fire()
    scene.ack(scene.sent[0], commands.FAILED)
    scene.tick(299)
    assert [c.action for c in scene.sent] == ["save"]
    scene.tick(300)
    assert [c.action for c in scene.sent] == ["save", "pause"]


def test_a_resolved_diagnosis_does_not_escalate() -> None:
    """What resolved in time needs no pause."""
    scene = Scene()
    scene.fire()
    scene.ack(scene.sent[0], commands.SUCCEEDED)
    scene.ack(scene.sent[1], commands.SUCCEEDED)
    scene.resolve()
    scene.tick(1000)
    assert [c.action for c in scene.sent] == ["save", "rollback"]
    assert scene.incident is None


def test_settle_time_holds_actions_and_not_the_incident() -> None:
    """A rule with settle: 10s waits that long in event time."""
    scene = Scene()
    scene.fire("slow", at_s=1)
    assert scene.story() == ["opened"]
    scene.tick(10.9)
    assert scene.sent == []
    scene.tick(11)
    assert [c.action for c in scene.sent] == ["dump_stacks"]


def test_a_symptom_joins_and_repeats_no_action() -> None:
    """A second diagnosis of the same incident neither saves again nor overtakes the rollback."""
    scene = Scene()
    scene.fire(at_s=1)
    scene.fire("loss-not-finite", at_s=2, evidence={"since_step": 117})
    assert [c.action for c in scene.sent] == ["save"]
    scene.ack(scene.sent[0], commands.SUCCEEDED)
    assert [c.action for c in scene.sent] == ["save", "rollback"]
    assert scene.sent[1].args["before_step"] == 117
    scene.ack(scene.sent[1], commands.SUCCEEDED)
    scene.resolve(at_s=1)
    assert scene.incident is not None
    scene.resolve("loss-not-finite", at_s=2)
    scene.tick(31)
    assert scene.incident is not None
    scene.tick(32)
    assert scene.incident is None


def test_cooldown_is_per_run_and_action() -> None:
    """A new incident within the cooldown does not save or roll back again; after it, it does."""
    scene = Scene()
    scene.fire(at_s=0)
    scene.ack(scene.sent[0], commands.SUCCEEDED)
    scene.ack(scene.sent[1], commands.SUCCEEDED)
    scene.resolve(at_s=0)
    scene.tick(60)
    scene.fire(at_s=60)
    assert scene.story()[-2:] == ["cooldown save", "cooldown rollback"]
    scene.resolve(at_s=60)
    scene.tick(601)
    scene.fire(at_s=601)
    assert [c.action for c in scene.sent] == ["save", "rollback", "save"]


def test_the_same_diagnosis_again_changes_nothing() -> None:
    """Replayed records repeat diagnoses with the same id."""
    scene = Scene()
    scene.fire()
    assert scene.fire() == []


def test_no_answer_in_time_sends_the_same_command_again_until_it_expires() -> None:
    """Every 30 s of the clock, the same id; when it expired, it counts as not done."""
    scene = Scene()
    scene.fire()
    scene.tick(29)
    assert len(scene.sent) == 1
    scene.tick(30)
    scene.tick(31)
    scene.tick(60)
    assert [c.id for c in scene.sent] == [scene.sent[0].id] * 3
    assert len({d.id for d in scene.made}) == len(scene.made)
    scene.tick(601)
    assert "expired save" in scene.story()
    assert all(c.action != "rollback" for c in scene.sent)


def test_a_command_under_way_is_not_sent_again_and_does_not_expire() -> None:
    """Expiry is about delivery; a long save takes as long as it takes."""
    scene = Scene()
    scene.fire()
    scene.ack(scene.sent[0], commands.RUNNING)
    scene.tick(250)
    scene.tick(2000)
    scene.ack(scene.sent[0], commands.SUCCEEDED)
    assert scene.story().count("resent save") == 0
    assert "succeeded save" in scene.story()


def test_an_aborted_command_is_tried_again_until_it_expires() -> None:
    """Aborted means that the ranks did not agree this time."""
    scene = Scene()
    scene.fire()
    scene.ack(scene.sent[0], commands.ABORTED)
    scene.tick(31)
    assert [c.id for c in scene.sent] == [scene.sent[0].id] * 2


def test_catching_up_never_sends_an_expired_command() -> None:
    """A diagnosis from an hour ago leads to a record, not to a command."""
    scene = Scene()
    scene.wall_ns = START_NS + 3600 * 10**9
    scene.fire()
    assert scene.story() == ["opened", "expired save", "escalated", "notified"]
    assert scene.sent == []


def test_a_command_needs_every_rank() -> None:
    """With two ranks one success is not enough."""
    scene = Scene()
    for rank in (0, 1):
        scene.lifecycle("started", rank=rank, world_size=2)
    scene.fire()
    scene.ack(scene.sent[0], commands.SUCCEEDED, rank=0)
    assert len(scene.sent) == 1
    scene.ack(scene.sent[0], commands.SUCCEEDED, rank=1)
    assert [c.action for c in scene.sent] == ["save", "rollback"]


def test_an_ended_run_is_left_alone() -> None:
    """Its commands are withdrawn, its incident closes as ended, nothing escalates, nothing new begins."""
    scene = Scene()
    scene.lifecycle("started", rank=0)
    scene.fire()
    scene.lifecycle("finished", rank=0)
    assert scene.story()[2:] == ["withdrawn save", "withdrawn rollback", "withdrawn pause", "closed"]
    assert scene.published[-1]["state"] == "ended"
    scene.tick(1000)
    scene.fire("loss-not-finite", at_s=1000)
    assert scene.story()[-1] == "ignored"
    assert scene.made[-1].reason == "the run ended"
    assert len(scene.sent) == 1


def test_a_run_that_failed_ends_once_no_attempt_follows() -> None:
    """Commands are withdrawn at once; the incident waits as long as a supervisor may take to restart."""
    scene = Scene()
    scene.lifecycle("started", rank=0)
    scene.fire()
    scene.lifecycle("failed", rank=0)
    assert scene.story()[2:] == ["withdrawn save", "withdrawn rollback", "withdrawn pause"]
    scene.fire("loss-not-finite", at_s=1)
    scene.tick(299)
    assert scene.incident is not None
    assert len(scene.sent) == 1
    scene.tick(300)
    assert scene.story()[5:] == ["withdrawn save", "withdrawn rollback", "closed"]
    assert scene.published[-1]["state"] == "ended"


def test_a_run_is_over_when_all_ranks_are() -> None:
    """One rank's end is not the end."""
    scene = Scene()
    for rank in (0, 1):
        scene.lifecycle("started", rank=rank, world_size=2)
    scene.fire()
    assert scene.lifecycle("finished", rank=0) == []
    assert "closed" in [d.decision for d in scene.lifecycle("finished", rank=1)]


def test_a_new_attempt_withdraws_what_was_meant_for_the_old_one() -> None:
    """And late diagnoses and answers of the old attempt are recorded only."""
    scene = Scene()
    scene.fire()
    scene.lifecycle("started", attempt=1, rank=0)
    assert scene.story()[2:] == ["withdrawn save", "withdrawn rollback", "withdrawn pause"]
    scene.fire("loss-not-finite", attempt=0)
    assert scene.made[-1].reason == "attempt 0 is over, attempt 1 runs"
    assert scene.ack(scene.sent[0], commands.SUCCEEDED, attempt=0) == []
    assert [d.decision for d in scene.tick(31)] == ["closed"]
    assert scene.published[-1]["state"] == "resolved"


def test_a_diagnosis_of_a_newer_attempt_begins_it() -> None:
    """Lifecycle events may arrive after it; the command carries the attempt."""
    scene = Scene()
    scene.fire(attempt=2)
    assert scene.sent[0].attempt == 2


def test_an_unknown_rule_is_recorded_and_nothing_is_done() -> None:
    """The rule set may have changed since."""
    scene = Scene()
    scene.fire("gone")
    assert scene.story() == ["ignored"]
    assert scene.made[0].reason == "no rule 'gone' in this worker's rule set"


def test_answers_to_unknown_commands_change_nothing() -> None:
    """A worker that began afresh knows nothing of commands sent before."""
    scene = Scene()
    scene.fire()
    command = scene.sent[0]
    assert Scene().ack(command, commands.SUCCEEDED) == []


def test_runs_that_ended_long_ago_are_forgotten() -> None:
    """Memory stays bounded however many runs there were."""
    scene = Scene()
    scene.lifecycle("started", rank=0)
    scene.lifecycle("finished", rank=0)
    scene.tick(3599)
    assert RUN in scene.arbiter.state.runs
    scene.tick(3602)
    assert RUN not in scene.arbiter.state.runs
