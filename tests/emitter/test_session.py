"""Events, phases, logs, checkpoints, tuning and the guard, with time in our hands."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import pytest
import torch

import emitter
from emitter import _api
from emitter._guard import Guard
from emitter.testing import Captured, ManualClock, capture


def phases(captured: Captured) -> list[Any]:
    return [log.attributes["train.phase"] for log in captured.named("train.heartbeat")]


def test_step_time_is_measured(captured: Captured, clock: ManualClock) -> None:
    """From one call of step() to the next, in seconds; the trainer's own value wins."""
    emitter.step(0, loss=1.0)
    clock.advance(0.25)
    emitter.step(1, loss=1.0)
    emitter.step(2, loss=1.0, step_time=9.0)

    found = [log.attributes.get("step_time") for log in captured.named("train.step")]
    assert found == [None, pytest.approx(0.25), 9.0]


def test_data_time_is_what_the_data_phase_took(captured: Captured, clock: ManualClock) -> None:
    """Time inside phase("data") since the last step."""
    with emitter.phase("data"):
        clock.advance(0.5)
    emitter.step(0, loss=1.0)
    emitter.step(1, loss=1.0)

    found = [log.attributes.get("data_time") for log in captured.named("train.step")]
    assert found == [pytest.approx(0.5), None]


def test_records_carry_their_own_time(captured: Captured, clock: ManualClock) -> None:
    """Event time is the wall clock at the start plus monotonic time."""
    began = clock.unix_ns()
    clock.advance(1.5)
    emitter.step(0, loss=1.0)

    assert captured.named("train.step")[0].time_ns == began + 1_500_000_000


def test_heartbeats_know_phase_step_and_progress(captured: Captured, clock: ManualClock) -> None:
    """A heartbeat every 30 s; phases change it at once; progress.age counts from the last step or phase."""
    session = captured.session
    session.pulse()
    emitter.step(4, loss=1.0)
    clock.advance(29)
    session.pulse()
    assert phases(captured) == ["init"]
    clock.advance(2)
    session.pulse()
    with emitter.phase("eval"):
        session.pulse()
        with emitter.phase("data"):
            session.pulse()
    session.pulse()

    assert phases(captured) == ["init", "train", "eval", "train"]
    beat = captured.named("train.heartbeat")[1]
    assert beat.attributes["train.step"] == 4
    assert beat.attributes["progress.age"] == pytest.approx(31)


def test_events_of_ones_own(captured: Captured) -> None:
    """event, eval and log carry the step we are at and the given values."""
    emitter.step(3, loss=1.0)
    emitter.event("my.event", {"a/b": 1}, c="x")
    emitter.eval(None, {"eval/loss": torch.tensor(0.5)})
    emitter.eval(2, accuracy=0.9)
    emitter.log("hello", level=logging.ERROR, part=1)

    (mine,) = captured.named("my.event")
    assert mine.attributes == {"a/b": 1, "c": "x", "train.step": 3, "train.seq": 2}
    evals = [(log.attributes["train.step"], log.attributes) for log in captured.named("train.eval")]
    assert [(step, found.get("eval/loss"), found.get("accuracy")) for step, found in evals] == [
        (3, 0.5, None),
        (2, None, 0.9),
    ]
    (line,) = captured.named("train.log")
    assert (line.body, line.severity, line.attributes["part"]) == ("hello", 17, 1)


def test_logging_records_become_train_log(clock: ManualClock) -> None:
    """INFO and above with severity, exception and place; our own loggers are left out."""
    with capture(clock=clock, logs=True) as captured:
        logger = logging.getLogger("trainer.data")
        logger.setLevel(logging.DEBUG)
        logger.debug("unheard")
        logger.info("epoch %d", 3)
        try:
            1 / 0  # noqa: B018
        except ZeroDivisionError:
            logger.exception("went wrong")
        logging.getLogger("emitter").warning("ours")
        lines = captured.named("train.log")

    assert [(line.body or "").split("\n")[0] for line in lines] == ["epoch 3", "went wrong"]
    assert [line.severity for line in lines] == [9, 17]
    assert lines[1].attributes["exception.type"] == "ZeroDivisionError"
    assert "1 / 0" in (lines[1].body or "")
    assert lines[0].attributes["logger.name"] == "trainer.data"


def test_log_record_with_bad_arguments_is_kept(clock: ManualClock) -> None:
    """A format that does not fit costs the formatting, not the line."""
    with capture(clock=clock, logs=True) as captured:
        logging.getLogger("x").makeRecord("x", logging.INFO, "f", 1, "%d items", ("no",), None)
        (line,) = captured.named("train.log")

    assert line.body == "%d items ('no',)"


def test_checkpoint_that_fails_is_marked_and_goes_on(captured: Captured, tmp_path: Path) -> None:
    """The exception passes; the span has status ERROR with its text; verified stays false."""
    with pytest.raises(OSError, match="disk full"), emitter.checkpoint(5, tmp_path / "c.pt", kind="forensic"):
        raise OSError("disk full")

    (span,) = captured.spans
    assert (span.name, span.error) == ("checkpoint.save", "OSError: disk full")
    assert span.attributes["checkpoint.verified"] is False
    assert span.attributes["checkpoint.kind"] == "forensic"
    assert captured.named("checkpoint.started")[0].attributes["checkpoint.path"] == str(tmp_path / "c.pt")


def test_checkpoint_parts_follow_each_other(captured: Captured, clock: ManualClock) -> None:
    """Each part reaches from the mark before it to its own."""
    with emitter.checkpoint(1, "x") as checkpoint:
        clock.advance(1)
        checkpoint.stage()
        clock.advance(2)
        checkpoint.written(bytes=1)
        clock.advance(3)
        checkpoint.verified()

    lengths = {span.name: (span.end_ns - span.start_ns) / 1e9 for span in captured.spans}
    assert lengths == {
        "checkpoint.stage": 1, "checkpoint.write": 2, "checkpoint.verify": 3, "checkpoint.save": 6,
    }  # fmt: skip


def test_before_init_everything_is_a_no_op() -> None:
    """Calls outside a session do nothing and raise nothing."""
    emitter.step(1, loss=1.0)
    emitter.eval(1, x=1)
    emitter.event("e")
    emitter.log("l")
    with emitter.phase("eval"), emitter.checkpoint(1, "x") as checkpoint:
        checkpoint.stage()
        checkpoint.written(bytes=1)
        checkpoint.verified(checksum="c")
    emitter.shutdown()


def test_odd_arguments_do_not_end_the_loop(captured: Captured) -> None:
    """What is no mapping, no step, no size is left out and counted; nothing is raised."""
    emitter.step(1, 5, loss=1.0)  # type: ignore[arg-type]
    emitter.eval("x", 5, loss=1.0)  # type: ignore[arg-type]
    emitter.event("e", 5)  # type: ignore[arg-type]
    with emitter.checkpoint(torch.tensor(3), object()) as checkpoint:
        checkpoint.written(bytes=torch.ones(2))
        checkpoint.verified(checksum=3)  # type: ignore[arg-type]

    assert captured.named("train.step")[0].attributes["loss"] == 1.0
    assert captured.named("train.eval")[0].attributes["loss"] == 1.0
    assert captured.session.queue.totals == {"bad_value": 4}
    save = captured.spans[-1]
    assert save.attributes["checkpoint.step"] == 3
    assert "checkpoint.bytes" not in save.attributes


def test_values_may_be_called_anything(captured: Captured) -> None:
    """No metric name collides with a parameter of ours."""
    emitter.step(1, self=1, metrics=2, name=3, session=4)

    found = captured.named("train.step")[0].attributes
    assert [found[name] for name in ("self", "metrics", "name", "session")] == [1, 2, 3, 4]


def test_set_changes_a_registered_value(captured: Captured) -> None:
    """The setter gets the value; success is said only after the next step read it back."""
    values = {"t": 1.0}
    emitter.tune("temperature", lambda: values["t"], lambda value: values.update(t=value))
    command = captured.command("set", args={"parameter": "temperature", "scale": 0.5})
    emitter.step(1, loss=1.0)
    assert values == {"t": 0.5}
    assert captured.states(command) == ["received", "scheduled", "running"]
    emitter.step(2, loss=1.0)

    assert captured.states(command)[-1] == "succeeded"
    assert captured.acks[-1].detail == {"parameter": "temperature", "from": 1.0, "to": 0.5, "read_back": 0.5}


def test_overwritten_value_is_reported(captured: Captured) -> None:
    """A loop that sets the rate itself every step makes the command fail, and says why."""
    rate = {"lr": 1e-3}
    emitter.tune("learning_rate", lambda: rate["lr"], lambda value: rate.update(lr=value))
    command = captured.command("set", args={"parameter": "lr", "scale": 0.1})
    emitter.step(1, loss=1.0)
    rate["lr"] = 1e-3
    emitter.step(2, loss=1.0)

    assert captured.states(command)[-1] == "failed"
    assert captured.acks[-1].reason == "overwritten"


@pytest.mark.slow
def test_optimizer_and_scheduler_scale_together(captured: Captured) -> None:
    """With a real scheduler the scaled rate survives its next step, in every group."""
    weight, bias = torch.nn.Parameter(torch.ones(1)), torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([{"params": [weight], "lr": 1.0}, {"params": [bias], "lr": 0.5}])
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.99**step)
    emitter.tune("lr", optimizer=optimizer, scheduler=scheduler)
    command = captured.command("set", args={"parameter": "lr", "scale": 0.1})
    for step in range(3):
        emitter.step(step, loss=1.0)
        optimizer.step()
        scheduler.step()

    assert captured.states(command)[-1] == "succeeded"
    rates = [group["lr"] for group in optimizer.param_groups]
    assert rates == [pytest.approx(0.1 * 0.99**3), pytest.approx(0.05 * 0.99**3)]


def test_rate_in_a_tensor_is_changed_in_place(captured: Captured) -> None:
    """Capturable optimizers keep the rate in a tensor that a graph reads."""
    rate = torch.tensor(1.0)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=rate, foreach=False)
    emitter.tune("lr", optimizer=optimizer)
    captured.command("set", args={"parameter": "lr", "value": 0.25})
    emitter.step(1, loss=1.0)

    assert optimizer.param_groups[0]["lr"] is rate
    assert rate.item() == 0.25


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ({}, "expected one of `value` and `scale`, got neither"),
        ({"value": 1, "scale": 1}, "expected one of `value` and `scale`, got value and scale"),
        ({"value": "NaN"}, "expected `value` to be a number from -1e+30 to 1e+30, got 'NaN'"),
        ({"scale": True}, "expected `scale` to be a number above 0 and at most 1000, got True"),
    ],
)
def test_bad_arguments_of_set(captured: Captured, args: dict[str, Any], error: str) -> None:
    """The answer names what was expected and what came."""
    emitter.tune("t", lambda: 1.0, lambda value: None)
    command = captured.command("set", args={"parameter": "t", **args})

    assert captured.states(command) == ["received", "rejected"]
    assert (captured.acks[-1].reason, captured.acks[-1].detail) == ("bad_arguments", {"error": error})


def test_getter_that_breaks_fails_the_command(captured: Captured) -> None:
    """The trainer's own code may raise at the read-back; the command fails, training goes on."""
    calls = iter([1.0])
    emitter.tune("t", lambda: next(calls), lambda value: None)
    command = captured.command("set", args={"parameter": "t", "value": 2})
    emitter.step(1, loss=1.0)
    emitter.step(2, loss=1.0)

    assert captured.states(command)[-1] == "failed"
    assert captured.acks[-1].reason == "StopIteration: "


def test_set_that_was_not_read_back_is_aborted(captured: Captured) -> None:
    """A trainer that ends right after proves nothing."""
    emitter.tune("t", lambda: 1.0, lambda value: None)
    command = captured.command("set", args={"parameter": "t", "value": 2})
    emitter.step(1, loss=1.0)
    emitter.shutdown()

    assert captured.states(command)[-1] == "aborted"


def test_tune_needs_a_pair() -> None:
    """Half a registration is an error at once."""
    with pytest.raises(TypeError, match=r"tune\('lr'\): expected a getter and a setter, or optimizer="):
        emitter.tune("lr", lambda: 1.0)


def test_guard_hides_our_bugs_once_in_a_while(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Outside tests an exception of ours is logged and swallowed; exits pass."""
    monkeypatch.delenv("TRAINWARDEN_STRICT")
    guard = Guard()
    for _ in range(3):
        with guard:
            raise ZeroDivisionError
    with pytest.raises(SystemExit), guard:
        raise SystemExit

    assert [record.message.split(";")[0] for record in caplog.records] == ["internal error in the emitter"]


def test_guard_is_transparent_under_test() -> None:
    """TRAINWARDEN_STRICT=1 lets our bugs through, so that tests cannot hide them."""
    with pytest.raises(ZeroDivisionError), Guard():
        raise ZeroDivisionError


def test_session_survives_a_broken_exporter(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """An internal error in init leaves the trainer without telemetry, not without training."""
    monkeypatch.delenv("TRAINWARDEN_STRICT")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(tmp_path))
    monkeypatch.setattr("emitter._ranks.os.urandom", lambda size: 1 / 0)
    emitter.init("x", endpoint="http://127.0.0.1:1", run_id="x")
    emitter.step(1, loss=1.0)

    assert _api._session is None
    assert "internal error in the emitter" in caplog.text


def test_capture_refuses_to_nest(captured: Captured) -> None:
    """Two sessions at once are a mistake of the test."""
    expected = "capture: expected no session, but init was called; call emitter.shutdown() first"
    with pytest.raises(RuntimeError) as raised, capture():
        pass

    assert str(raised.value) == expected


def test_nan_is_urgent_once(captured: Captured) -> None:
    """The sender is woken when values turn bad and when they are good again, not at every bad step."""
    wake = captured.session.queue.wake
    woken = []
    for loss in (1.0, math.nan, math.nan, math.inf, 1.0, 1.0):
        wake.clear()
        emitter.step(loss=loss)
        woken.append(wake.is_set())

    assert woken == [False, True, False, False, True, False]
