"""Commands from arrival to acknowledgement, without a network."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

import emitter
from emitter._ledger import Ledger
from emitter.testing import Captured, ManualClock, capture
from emitter.vocabulary import cloudevents
from emitter.vocabulary.commands import Ack, Command, Target
from tests.fixtures import wait_for

DONE = ["received", "scheduled", "running", "succeeded"]


def test_handler_runs_at_the_next_step_and_its_result_is_acknowledged(captured: Captured) -> None:
    """A registered handler runs inside step(), in the calling thread, and its dict becomes the detail."""
    seen: list[tuple[Command, int]] = []

    @emitter.on("save")
    def save(command: Command) -> dict[str, Any]:
        seen.append((command, threading.get_ident()))
        return {"path": "/tmp/x"}

    command = captured.command("save", args={"kind": "forensic"})
    assert captured.states(command) == ["received", "scheduled"]
    emitter.step(7, loss=1.0)

    assert [found.args for found, _ in seen] == [{"kind": "forensic"}]
    assert seen[0][1] == threading.get_ident()
    assert captured.states(command) == DONE
    last = captured.acks[-1]
    assert (last.detail, last.step, last.rank, last.run) == ({"path": "/tmp/x"}, 7, 0, "test")
    assert last.duration is not None
    assert last.duration >= 0


def test_handler_that_raises_fails_the_command_and_training_goes_on(captured: Captured) -> None:
    """The exception of a handler becomes the reason of `failed`; step() returns as usual."""

    @emitter.on("save")
    def save(command: Command) -> None:
        raise OSError("disk full")

    command = captured.command("save")
    emitter.step(1, loss=1.0)

    assert captured.states(command)[-1] == "failed"
    assert captured.acks[-1].reason == "OSError: disk full"
    emitter.step(2, loss=1.0)
    assert len(captured.named("train.step")) == 2


@pytest.mark.parametrize(
    ("action", "fields", "state", "reason"),
    [
        ("save", {}, "rejected", "no_handler"),
        ("profile", {}, "rejected", "no_handler"),
        ("explode", {}, "rejected", "unknown_action"),
        ("stop", {"attempt": -1}, "rejected", "stale_attempt"),
        ("stop", {"attempt": 1}, "rejected", "future_attempt"),
        ("stop", {"issued": "2026-01-01T00:05:01Z"}, "rejected", "clock_skew"),
        ("stop", {"issued": "yesterday"}, "rejected", "bad_time"),
        ("stop", {"expires": "2025-12-31T23:54:59Z"}, "expired", "expired"),
        ("pause", {"args": {"lease_s": -1}}, "rejected", "bad_arguments"),
        ("set", {"args": {"parameter": "temperature", "value": 1}}, "rejected", "unknown_parameter"),
    ],
)
def test_refusals(captured: Captured, action: str, fields: dict[str, Any], state: str, reason: str) -> None:
    """What may not be run is answered with the reason, and nothing happens at the step."""
    command = captured.command(action, **fields)
    emitter.step(1, loss=1.0)

    assert captured.states(command) == ["received", state]
    assert captured.acks[-1].reason == reason


def test_five_minutes_of_skew_are_tolerated(captured: Captured) -> None:
    """A clock that is up to five minutes off, either way, does not refuse a command."""
    emitter.on("save")(lambda command: None)
    early = captured.command("save", issued="2026-01-01T00:04:59Z")
    late = captured.command("save", expires="2025-12-31T23:55:01Z")
    emitter.step(1, loss=1.0)

    assert captured.states(early) == DONE
    assert captured.states(late) == DONE


def test_command_that_expires_before_the_boundary_is_not_run(clock: ManualClock, captured: Captured) -> None:
    """Expiry is checked again when the step boundary comes, which may be late."""
    emitter.on("save")(lambda command: pytest.fail("must not run"))
    command = captured.command("save")
    clock.advance(1000)
    emitter.step(1, loss=1.0)

    assert captured.states(command) == ["received", "scheduled", "expired"]


def test_commands_for_others_are_ignored(captured: Captured) -> None:
    """Other runs, ranks and nodes share the topic; actions executed elsewhere too. No acknowledgement."""
    captured.command("stop", run="another")
    captured.command("stop", target=Target(ranks=[1, 2]))
    captured.command("stop", target=Target(node="elsewhere"))
    captured.command("notify")
    captured.command("exclude_node")
    emitter.step(1, loss=1.0)

    assert captured.acks == []


def test_bytes_that_are_no_command_cost_one_clear_line(
    captured: Captured, caplog: pytest.LogCaptureFixture
) -> None:
    """Malformed messages are named in the log; the next command works."""
    with caplog.at_level(logging.WARNING, "emitter"):
        captured.deliver(b"\xff not json", {})
    assert "ignoring a message on remediation.commands: expected a CloudEvent" in caplog.text

    emitter.on("save")(lambda command: None)
    command = captured.command("save")
    emitter.step(1, loss=1.0)
    assert captured.states(command) == DONE


def test_command_id_is_run_once_and_answered_again(captured: Captured) -> None:
    """A resend of an id that ended is acknowledged with the stored outcome and never run again."""
    runs: list[Command] = []
    emitter.on("save")(runs.append)
    command = captured.command("save", id="same")
    emitter.step(1, loss=1.0)
    captured.command("save", id="same")
    emitter.step(2, loss=1.0)

    assert len(runs) == 1
    assert captured.states(command) == [*DONE, "succeeded"]
    assert captured.acks[-1] == captured.acks[-2]


def test_same_message_read_again_is_not_answered_again(captured: Captured) -> None:
    """After a reconnect the topic is read again from a while back; that is no resend."""
    emitter.on("save")(lambda command: None)
    command = captured.command("save")
    emitter.step(1, loss=1.0)
    again = captured.session.commander.ledger.open(command.id, None)
    assert again is not None
    payload = command.encode()
    captured.session.commander.receive(payload, again.position, captured.sign(payload))

    assert captured.states(command) == DONE


def test_what_a_predecessor_ended_or_began_is_not_run_again(captured: Captured) -> None:
    """Acks of a killed process with the same identity count: ended stays ended, begun is failed."""
    emitter.on("save")(lambda command: pytest.fail("must not run"))
    commander = captured.session.commander
    before = {"run": "test", "rank": 0, "time": "2025-12-31T23:59:00.000000Z"}
    commander.recall(Ack(command="ended", state="succeeded", **before))  # type: ignore[arg-type]
    commander.recall(Ack(command="begun", state="running", **before))  # type: ignore[arg-type]
    commander.recall(Ack(command="other-attempt", state="succeeded", attempt=1, **before))  # type: ignore[arg-type]
    captured.command("save", id="ended")
    begun = captured.command("save", id="begun")
    emitter.step(1, loss=1.0)

    assert captured.states(begun) == ["failed"]
    assert captured.acks[-1].reason == "interrupted"
    assert {ack.command for ack in captured.acks} == {"begun"}


def test_ledger_is_bounded() -> None:
    """The oldest commands are forgotten first."""
    ledger = Ledger(limit=2)
    for name in "abc":
        assert ledger.open(name, name) is None

    assert ledger.open("a", "a") is None
    assert ledger.open("c", "c") is not None


@pytest.mark.parametrize("action", ["restart", "rollback"])
def test_restart_and_rollback_raise_at_the_boundary(captured: Captured, action: str) -> None:
    """Without a handler they raise Restart with the command, already acknowledged; it may be caught."""
    command = captured.command(action, args={"checkpoint": {"step": 3, "path": "/c/3"}})
    with pytest.raises(emitter.Restart) as raised:
        emitter.step(1, loss=1.0)

    assert raised.value.code == 75
    assert raised.value.command == command
    assert captured.states(command) == DONE
    assert captured.acks[-1].detail == {"raised": "Restart"}
    emitter.step(2, loss=1.0)


def test_stop_raises_stop(captured: Captured) -> None:
    """`stop` ends the trainer with exit code 0, through an exception that `except Exception` lets pass."""
    command = captured.command("stop")
    with pytest.raises(emitter.Stop) as raised:
        emitter.step(1, loss=1.0)

    assert raised.value.code == 0
    assert not isinstance(raised.value, Exception)
    assert captured.states(command) == DONE


def test_registered_rollback_replaces_the_exception(captured: Captured) -> None:
    """on("rollback") gets the command with the checkpoint to load."""
    seen: list[Command] = []
    emitter.on("rollback")(seen.append)
    command = captured.command("rollback", args={"checkpoint": {"step": 3, "path": "p"}})
    emitter.step(1, loss=1.0)

    assert [found.args["checkpoint"]["path"] for found in seen] == ["p"]
    assert captured.states(command) == DONE


def test_only_allowed_actions_are_run(clock: ManualClock) -> None:
    """`allow` is the trainer's own list; nothing that is sent can widen it."""
    with capture(clock=clock, allow=["save"]) as captured:
        emitter.on("save")(lambda command: None)
        stop, save = captured.command("stop"), captured.command("save")
        emitter.step(1, loss=1.0)

        assert captured.states(stop) == ["received", "rejected"]
        assert next(ack for ack in captured.acks if ack.state == "rejected").reason == "not_allowed"
        assert captured.states(save) == DONE


def test_many_ranks_do_not_act_alone(clock: ManualClock) -> None:
    """Until ranks can agree on one step, rank 0 of several refuses all but dump_stacks."""
    with capture(clock=clock, world_size=2) as captured:
        stop, dump = captured.command("stop"), captured.command("dump_stacks")
        emitter.step(1, loss=1.0)

        assert captured.states(stop) == ["received", "rejected"]
        assert next(ack for ack in captured.acks if ack.state == "rejected").reason == "ranks_not_agreed"
        assert captured.states(dump) == ["received", "running", "succeeded"]


def test_dump_stacks_needs_no_boundary(captured: Captured) -> None:
    """Stacks of all threads come as train.stack, at once: a hung loop reaches no boundary."""
    command = captured.command("dump_stacks")

    assert captured.states(command) == ["received", "running", "succeeded"]
    (stack,) = captured.named("train.stack")
    assert "test_dump_stacks_needs_no_boundary" in (stack.body or "")
    assert "MainThread" in (stack.body or "")


def test_pause_holds_the_loop_until_resume() -> None:
    """step() blocks while paused; heartbeats say so; resume arrives on another thread and frees it."""
    with capture() as captured:
        pause = captured.command("pause")
        loop = threading.Thread(target=emitter.step, args=(1,), kwargs={"loss": 1.0})
        loop.start()
        wait_for(lambda: captured.states(pause) == DONE, what="the pause to hold")
        wait_for(lambda: captured.session._phases == ["paused"], what="the phase")
        captured.session.pulse()
        resume = captured.command("resume")
        loop.join(30)

        assert not loop.is_alive()
        assert captured.states(resume) == ["received", "running", "succeeded"]
        beat = captured.named("train.heartbeat")[-1]
        assert beat.attributes["train.phase"] == "paused"
        emitter.step(2, loss=1.0)
        assert captured.named("train.step")[-1].attributes["step_time"] < 10  # type: ignore[operator]


def test_pause_is_a_lease_that_ends_in_stop(captured: Captured, clock: ManualClock) -> None:
    """A pause that nobody ends becomes a stop when its lease is over."""
    command = captured.command("pause", args={"lease_s": 60})
    captured.session.commander._actions._pausing = lambda on: clock.advance(61 if on else 0)
    with pytest.raises(emitter.Stop):
        emitter.step(1, loss=1.0)

    assert captured.states(command) == DONE
    assert next(ack for ack in captured.acks if ack.state == "succeeded").detail == {"lease_s": 60.0}


def test_other_commands_run_while_paused() -> None:
    """A paused loop stands at its boundary, so a restart is possible without a resume."""
    with capture() as captured:
        ended: list[BaseException] = []

        def loop() -> None:
            try:
                emitter.step(1, loss=1.0)
            except SystemExit as error:
                ended.append(error)

        pause = captured.command("pause")
        thread = threading.Thread(target=loop)
        thread.start()
        wait_for(lambda: captured.states(pause) == DONE, what="the pause to hold")
        restart = captured.command("restart")
        thread.join(30)

        assert [type(error) for error in ended] == [emitter.Restart]
        assert captured.states(restart) == DONE


def test_resume_takes_back_a_pause_that_has_not_begun(captured: Captured) -> None:
    """A pause still waiting for its boundary is aborted by a resume."""
    pause = captured.command("pause")
    captured.command("resume")
    emitter.step(1, loss=1.0)

    assert captured.states(pause) == ["received", "scheduled", "aborted"]


def test_what_did_not_run_is_aborted_at_shutdown(captured: Captured) -> None:
    """A scheduled command of a trainer that ends is answered, so nobody waits for it."""
    emitter.on("save")(lambda command: None)
    command = captured.command("save")
    emitter.shutdown()

    assert captured.states(command) == ["received", "scheduled", "aborted"]
    assert captured.acks[-1].reason == "ended"


def test_acks_carry_the_wall_time_of_the_trainer(captured: Captured, clock: ManualClock) -> None:
    """Acknowledgements are stamped with event time."""
    clock.advance(2.5)
    captured.command("profile")

    assert cloudevents.parse_rfc3339(captured.acks[0].time) == clock.unix_ns()
