"""What operators say: approvals, rejections, and what is not believed."""

from __future__ import annotations

from emitter.vocabulary import cloudevents, commands
from stream.remediate.settings import Breaker
from tests.stream.remediate.scenes import RUN, START_NS, Scene


def held() -> Scene:
    """A restart that waits for approval since one second."""
    scene = Scene("approve")
    scene.lifecycle("started", rank=0)
    scene.fire("hung", at_s=1)
    assert scene.story() == ["opened", "held restart"]
    return scene


def waiting(scene: Scene) -> str:
    """The command that waits."""
    command = next(d.command for d in scene.made if d.decision == "held")
    assert command is not None
    return command.id


def test_an_approved_command_expires_counted_from_the_approval() -> None:
    """Same id, same arguments, fresh times; the ledger names the person and the key."""
    scene = held()
    scene.tick(3000)
    scene.say("approve", command=waiting(scene), reason="go on")
    approved, sent = scene.made[-2:]
    assert (approved.decision, approved.author, approved.key, approved.reason) == (
        "approved", "ann", "k1", "go on",
    )  # fmt: skip
    assert sent.decision == "sent"
    assert scene.sent[0].id == waiting(scene)
    assert cloudevents.parse_rfc3339(scene.sent[0].issued) == START_NS + 3000 * 10**9
    assert cloudevents.parse_rfc3339(scene.sent[0].expires) == START_NS + 3600 * 10**9
    scene.ack(scene.sent[0], commands.SUCCEEDED)
    assert scene.story()[-1] == "succeeded restart"


def test_a_second_approval_changes_nothing() -> None:
    """Neither the same message again nor another person's."""
    scene = held()
    scene.say("approve", command=waiting(scene))
    assert scene.say("approve", command=waiting(scene)) == []
    scene.say("approve", command=waiting(scene), author="bob")
    assert (scene.made[-1].decision, scene.made[-1].reason) == (
        "refused", "the command does not wait for approval: it is sent",
    )  # fmt: skip
    assert len(scene.sent) == 1


def test_a_rejection_ends_the_step() -> None:
    """It is never sent, not even after an approval that comes later."""
    scene = held()
    scene.say("reject", command=waiting(scene), reason="not now")
    assert (scene.made[-1].decision, scene.made[-1].reason, scene.made[-1].author) == (
        "rejected", "not now", "ann",
    )  # fmt: skip
    scene.say("approve", command=waiting(scene))
    assert scene.made[-1].decision == "refused"
    assert scene.sent == []
    assert scene.published[-1]["actions"][0]["author"] == "ann"


def test_what_is_not_signed_by_an_operator_is_on_record_and_does_nothing() -> None:
    """With the reason."""
    scene = held()
    scene.say("approve", command=waiting(scene), key=None, refused="unsigned: expected the headers")
    refused = scene.made[-1]
    assert (refused.decision, refused.reason, refused.key) == (
        "refused",
        "unsigned: expected the headers",
        None,
    )
    assert refused.detail["command"] == waiting(scene)
    scene.say("approve", command=waiting(scene))
    assert scene.made[-1].decision == "sent"


def test_an_old_word_that_is_said_again_is_refused() -> None:
    """Whoever recorded a message of an operator cannot use it later."""
    scene = held()
    said = cloudevents.rfc3339(START_NS)
    scene.tick(4000)
    scene.say("approve", command=waiting(scene), time=said)
    assert scene.made[-1].reason == "it was said 4000 s ago, expected at most 3600 s"
    scene.say("approve", command=waiting(scene), time=cloudevents.rfc3339(START_NS + 5000 * 10**9))
    assert scene.made[-1].reason == "it was said 1000 s in the future: the clocks disagree"
    assert scene.sent == []


def test_approvals_for_runs_that_ended_are_refused() -> None:
    """The command was withdrawn with the run."""
    scene = held()
    scene.lifecycle("failed", rank=0)
    scene.say("approve", command=waiting(scene))
    assert scene.made[-1].decision == "refused"
    assert scene.made[-1].reason == "the command does not wait for approval: it is withdrawn"
    scene.tick(1000)
    scene.say("approve", command=waiting(scene), author="bob")
    assert scene.made[-1].reason == f"no command {waiting(scene)} is known in a run under way"
    assert scene.sent == []


def test_an_approval_that_the_attempt_overtook_is_refused() -> None:
    """A command is for the attempt that was seen."""
    scene = held()
    scene.lifecycle("started", rank=0, attempt=1)
    scene.say("approve", command=waiting(scene))
    assert scene.made[-1].reason == "the command does not wait for approval: it is withdrawn"


def test_an_open_breaker_refuses_approvals_too() -> None:
    """First the breaker, then the command."""
    scene = Scene("approve", breaker=Breaker(1, 300.0))
    scene.fire("hung", at_s=1)
    scene.fire("hung", at_s=1, run="run-2", id="x")
    scene.say("approve", command=waiting(scene))
    assert str(scene.made[-1].reason).startswith("the circuit breaker is open: more than 1 runs")
    scene.say("reset_breaker")
    scene.say("approve", command=waiting(scene), author="bob")
    assert scene.made[-1].decision == "sent"


def test_a_reset_that_was_said_before_the_trip_leaves_the_breaker_open() -> None:
    """It names the trip that its author saw; when it is read does not matter, nor do clocks."""
    scene = Scene("approve", breaker=Breaker(1, 300.0))
    scene.fire("hung", at_s=1)
    scene.fire("hung", at_s=1, run="run-2", id="x")
    first = scene.arbiter.state.tripped
    assert first is not None
    scene.say("reset_breaker")
    said = cloudevents.rfc3339(scene.wall_ns)
    scene.fire("hung", at_s=2, run="run-3", id="y")
    scene.fire("hung", at_s=2, run="run-4", id="z")
    second = scene.arbiter.state.tripped
    assert second is not None
    assert second.command != first.command
    scene.say("reset_breaker", command=first.command, author="bob", time=said)
    assert (scene.made[-1].decision, scene.arbiter.state.tripped) == ("refused", second)
    assert f"by {second.command} since" in str(scene.made[-1].reason)
    scene.say("reset_breaker", command="", author="cy")
    assert scene.arbiter.state.tripped == second
    scene.say("reset_breaker", command=second.command)
    assert scene.arbiter.state.tripped is None


def test_a_person_makes_a_run_stricter_for_a_while() -> None:
    """By id, name or pattern, with an end and an author; never freer than the policy; taken back."""
    scene = Scene("act")
    scene.lifecycle("started", rank=0, run_name="exp-7")
    scene.mode("exp-*", "shadow", ends_s=100)
    set_to = scene.made[-1]
    assert (set_to.decision, set_to.author, set_to.key, set_to.run) == ("mode_set", "ann", "k1", RUN)
    assert set_to.reason == "exp-*: at least shadow until 2026-01-01T00:01:40.000000Z (1 known run)"
    scene.fire(at_s=1)
    assert scene.story()[-2:] == ["shadow save", "shadow rollback"]
    assert scene.sent == []
    scene.fire("best", at_s=2, run="other", id="o")
    assert scene.story()[-1] == "sent save"
    scene.tick(101)
    scene.fire("hung", at_s=101, id="late")
    assert scene.story()[-1] == "sent restart"
    scene.mode("exp-*", "act", ends_s=900)
    assert scene.arbiter.state.mode_of(scene.run(), "approve", scene.wall_ns) == "approve"
    scene.mode("exp-*", None)
    assert str(scene.made[-1].reason).startswith("exp-*: what the policy, the rule")
    scene.mode("exp-*", None, author="bob")
    assert scene.made[-1].reason == "no mode of exp-* was set by a person's word"


def test_what_would_be_forgotten_before_its_end_is_refused() -> None:
    """A worker that takes over reads a week back: words with a later end belong into the policy file."""
    scene = Scene()
    scene.mode("r", "shadow", ends_s=8 * 86_400)
    assert scene.made[-1].reason == (
        "a word is remembered for 7 days at most (`lookback`); set it in the policy file instead"
    )
    scene.silence(8 * 86_400, run="r")
    assert scene.made[-1].decision == "refused"
    assert not scene.arbiter.state.modes
    assert not scene.arbiter.state.silences
    scene.mode("r", "shadow", ends_s=-1)
    assert scene.made[-1].reason == "it has ended already"


def test_words_about_unknown_commands_are_refused() -> None:
    """And on record."""
    scene = Scene()
    scene.say("approve", command="c0ffee")
    assert (scene.made[-1].decision, scene.made[-1].run) == ("refused", "")
    assert scene.made[-1].reason == "no command c0ffee is known in a run under way"
