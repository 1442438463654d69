"""Handlers whose work ends after they have returned."""

from __future__ import annotations

import emitter
from emitter._actions import Later
from emitter.testing import Captured


def test_the_acknowledgement_follows_when_the_work_is_done(captured: Captured) -> None:
    """Running until then, and the detail of the end."""
    later = Later()
    emitter.on("save")(lambda command: later)
    command = captured.command("save")
    emitter.step(0)
    assert captured.states(command)[-1] == "running"

    later.succeeded({"path": "there"})
    later.failed("too late")

    assert captured.states(command) == ["received", "scheduled", "running", "succeeded"]
    assert captured.acks[-1].detail == {"path": "there"}


def test_work_that_ends_before_the_handler_does_counts(captured: Captured) -> None:
    """The answer waits for the command to be known."""

    def save(command: object) -> Later:
        later = Later()
        later.failed("disk full")
        return later

    emitter.on("save")(save)
    command = captured.command("save")
    emitter.step(0)

    assert captured.states(command)[-1] == "failed"
    assert captured.acks[-1].reason == "disk full"


def test_work_that_never_ends_is_aborted_with_the_session(captured: Captured) -> None:
    """Nobody waits for an answer that cannot come."""
    emitter.on("save")(lambda command: Later())
    command = captured.command("save")
    emitter.step(0)
    emitter.shutdown()

    assert captured.states(command)[-1] == "aborted"
