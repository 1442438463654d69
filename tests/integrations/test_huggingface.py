"""The Trainer of transformers with the callback: what is reported, when, and what commands do."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import emitter
from emitter import _api
from emitter.integrations import _saves
from emitter.integrations.huggingface import TrainwardenCallback
from emitter.testing import Captured
from tests.integrations import tiny


class At(tiny.Callback):
    """Calls something when the batches of this step are there."""

    def __init__(self, step: int, action: Any) -> None:
        self.step, self.action = step, action

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step + 1 == self.step:
            self.action()


def steps(captured: Captured) -> list[dict[str, Any]]:
    return [log.attributes for log in captured.named("train.step")]


def test_every_optimizer_step_is_one_event(captured: Captured, tmp_path: Path) -> None:
    """Two batches a step: six steps, each with what the Trainer logs, the rate it used, and its times."""
    trainer = tiny.trainer(tmp_path, [TrainwardenCallback()], gradient_accumulation_steps=2)
    trainer.train()

    logged = [entry for entry in trainer.state.log_history if "loss" in entry]
    found = steps(captured)
    assert [values["train.step"] for values in found] == [1, 2, 3, 4, 5, 6]
    for values, entry in zip(found, logged, strict=True):
        assert values["loss"] == entry["loss"]
        assert values["grad_norm"] == entry["grad_norm"]
        assert values["learning_rate"] == entry["learning_rate"]
        assert values["train.epoch"] == entry["epoch"]
        assert 0 <= values["data_time"] <= values["step_time"]


def test_steps_between_logs_are_reported_with_their_rate_and_times(
    captured: Captured, tmp_path: Path
) -> None:
    """Logging every third step changes which steps have a loss, not which are reported."""
    tiny.trainer(tmp_path, [TrainwardenCallback()], logging_steps=3).train()

    found = steps(captured)
    assert [values["train.step"] for values in found] == [1, 2, 3, 4, 5, 6]
    assert ["loss" in values for values in found] == [False, False, True, False, False, True]
    assert all({"learning_rate", "step_time", "data_time"} <= set(values) for values in found)


def test_logs_of_an_epoch_go_with_its_last_step(captured: Captured, tmp_path: Path) -> None:
    """With logging_strategy="epoch" the loss comes after the step; it is still that step's."""
    tiny.trainer(
        tmp_path, [TrainwardenCallback()], logging_strategy="epoch", max_steps=-1, num_train_epochs=2
    ).train()

    with_loss = [values["train.step"] for values in steps(captured) if "loss" in values]
    assert with_loss == [6, 12]


def test_an_evaluation_is_one_event_and_a_phase(captured: Captured, tmp_path: Path) -> None:
    """One train.eval with the step it was made at; heartbeats say `eval` meanwhile."""
    seen: list[list[str]] = []

    class Look(tiny.Callback):
        def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            seen.append(list(captured.session._phases))

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            seen.append(list(captured.session._phases))

    tiny.trainer(
        tmp_path, [TrainwardenCallback(), Look()], eval_strategy="steps", eval_steps=3, max_steps=4
    ).train()

    evals = captured.named("train.eval")
    assert [log.attributes["train.step"] for log in evals] == [3, 4]
    assert all("eval_loss" in log.attributes and "epoch" not in log.attributes for log in evals)
    assert seen == [[], [], [], ["eval"], [], ["eval"]]


def test_an_evaluation_outside_of_training_is_reported(captured: Captured, tmp_path: Path) -> None:
    """``trainer.evaluate()`` under another prefix is an evaluation too."""
    tiny.trainer(tmp_path, [TrainwardenCallback()]).evaluate(metric_key_prefix="test")

    (log,) = captured.named("train.eval")
    assert "test_loss" in log.attributes


def test_the_summary_is_no_step(captured: Captured, tmp_path: Path) -> None:
    """Means over the whole run would look like a jump of the loss."""
    tiny.trainer(tmp_path, [TrainwardenCallback()]).train()

    (log,) = captured.named("train.log")
    assert log.body == "summary of training"
    assert "summary/train_loss" in log.attributes
    assert not any("train_loss" in values for values in steps(captured))


def test_a_checkpoint_is_announced_sized_and_read_back(captured: Captured, tmp_path: Path) -> None:
    """checkpoint.started before the Trainer writes; then one span with the size on disk, verified."""
    tiny.trainer(tmp_path, [TrainwardenCallback()], save_strategy="steps", save_steps=3).train()
    _saves.join(10)

    assert [log.attributes["train.step"] for log in captured.named("checkpoint.started")] == [3, 6]
    saved = [span for span in captured.spans if span.name == "checkpoint.save"]
    for span, step in zip(saved, (3, 6), strict=True):
        folder = tmp_path / f"checkpoint-{step}"
        assert span.attributes["checkpoint.path"] == str(folder)
        assert span.attributes["checkpoint.bytes"] == sum(f.stat().st_size for f in folder.rglob("*"))
        assert span.attributes["checkpoint.kind"] == "regular"
        assert span.attributes["checkpoint.verified"] is True
        assert str(span.attributes["checkpoint.checksum"]).startswith("sha256:")
        assert span.error is None
    assert captured.session._phases == []


def test_a_save_that_is_called_off_ends_its_span(captured: Captured, tmp_path: Path) -> None:
    """Another callback objects after the save was announced: it does not hang for ever."""

    class No(tiny.Callback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
            control.should_save = False
            return control

    tiny.trainer(
        tmp_path,
        [TrainwardenCallback(), No()],
        save_strategy="steps",
        save_steps=3,
        logging_steps=4,
        max_steps=5,
    ).train()

    failed = [span.error for span in captured.spans if span.name == "checkpoint.save"]
    assert len(failed) == 2
    assert all(error is not None and "did not save after all" in error for error in failed)


def test_training_is_bit_identical_with_and_without(tmp_path: Path) -> None:
    """Same seed, dropout on: the same losses and the same weights."""

    def weights(callbacks: list[Any]) -> tuple[list[Any], dict[str, torch.Tensor]]:
        trainer = tiny.trainer(
            tmp_path, callbacks, eval_strategy="steps", eval_steps=2, save_strategy="steps", save_steps=2
        )
        trainer.train()
        return [entry.get("loss") for entry in trainer.state.log_history], trainer.model.state_dict()

    losses, plain = weights([])
    emitter.init(run="watched", endpoint=f"file:{tmp_path}/telemetry", flush_s=0.01)
    watched_losses, watched = weights([TrainwardenCallback()])
    _saves.join(10)
    emitter.shutdown()

    assert watched_losses == losses
    assert all(torch.equal(watched[name], tensor) for name, tensor in plain.items())


def test_stop_lets_the_trainer_end_as_usual(captured: Captured, tmp_path: Path) -> None:
    """The loop ends at that step, on_train_end runs, nothing is raised."""
    sent: list[Any] = []
    trainer = tiny.trainer(
        tmp_path, [At(3, lambda: sent.append(captured.command("stop"))), TrainwardenCallback()]
    )
    trainer.train()

    assert trainer.state.global_step == 3
    assert captured.states(sent[0])[-1] == "succeeded"


def test_restart_ends_the_process_with_its_code(captured: Captured, tmp_path: Path) -> None:
    """A supervisor relaunches on 75, so the Trainer must not swallow it."""
    trainer = tiny.trainer(tmp_path, [At(2, lambda: captured.command("restart")), TrainwardenCallback()])

    with pytest.raises(emitter.Restart) as raised:
        trainer.train()

    assert raised.value.code == 75


def test_a_forensic_save_is_set_apart(captured: Captured, tmp_path: Path) -> None:
    """It is made at that step, moved out of the Trainer's sight, and displaces no regular checkpoint."""
    sent: list[Any] = []
    tiny.trainer(
        tmp_path, [At(5, lambda: sent.append(captured.command("save"))), TrainwardenCallback()],
        save_strategy="steps", save_steps=2, save_total_limit=2,
    ).train()  # fmt: skip
    _saves.join(10)

    folders = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("**/checkpoint-*"))
    assert folders == ["checkpoint-4", "checkpoint-6", "forensic/checkpoint-5"]
    assert captured.states(sent[0]) == ["received", "scheduled", "running", "succeeded"]
    detail = captured.acks[-1].detail
    assert detail["path"] == str(tmp_path / "forensic" / "checkpoint-5")
    assert detail["kind"] == "forensic"
    kinds = [s.attributes["checkpoint.kind"] for s in captured.spans if s.name == "checkpoint.save"]
    assert kinds == ["regular", "regular", "forensic", "regular"]


def test_a_regular_save_that_is_asked_for_stays_where_the_trainer_puts_it(
    captured: Captured, tmp_path: Path
) -> None:
    """``{"kind": "regular"}``, as rules for milestones ask: one more checkpoint like the others."""
    sent: list[Any] = []
    ask = At(2, lambda: sent.append(captured.command("save", args={"kind": "regular"})))
    tiny.trainer(tmp_path, [ask, TrainwardenCallback()]).train()
    _saves.join(10)

    assert (tmp_path / "checkpoint-2" / "trainer_state.json").exists()
    assert captured.states(sent[0])[-1] == "succeeded"


def test_a_save_that_does_not_come_fails_its_command(captured: Captured, tmp_path: Path) -> None:
    """Another callback objects: the acknowledgement says so instead of a success."""
    sent: list[Any] = []

    class No(tiny.Callback):
        def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
            control.should_save = False
            return control

    ask = At(2, lambda: sent.append(captured.command("save")))
    tiny.trainer(tmp_path, [ask, TrainwardenCallback(), No()]).train()

    assert captured.states(sent[0])[-1] == "failed"
    assert captured.acks[-1].reason == "the Trainer did not save"


def test_set_changes_the_rate_and_the_schedule(captured: Captured, tmp_path: Path) -> None:
    """The rate falls to a tenth and stays there through the scheduler; no optimizer is kept afterwards."""
    sent: list[Any] = []
    ask = At(3, lambda: sent.append(captured.command("set", args={"parameter": "lr", "scale": 0.1})))
    tiny.trainer(
        tmp_path, [ask, TrainwardenCallback()], learning_rate=1e-3, lr_scheduler_type="constant_with_warmup"
    ).train()

    rates = [values["learning_rate"] for values in steps(captured)]
    assert rates == pytest.approx([1e-3] * 3 + [1e-4] * 3)
    assert captured.states(sent[0])[-1] == "succeeded"
    assert _api._tunables == {}


def test_what_the_user_registered_is_kept(captured: Captured, tmp_path: Path) -> None:
    """A handler of the user's own wins over the callback's."""
    seen: list[Any] = []
    emitter.on("save")(seen.append)
    tiny.trainer(tmp_path, [At(2, lambda: captured.command("save")), TrainwardenCallback()]).train()

    assert len(seen) == 1
    assert _api._handlers == {"save": seen.append}


def test_a_second_callback_keeps_quiet(
    captured: Captured, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Steps are not reported twice; one warning says why."""
    with caplog.at_level(logging.WARNING, "emitter"):
        tiny.trainer(tmp_path, [TrainwardenCallback(), TrainwardenCallback()]).train()

    assert [values["train.step"] for values in steps(captured)] == [1, 2, 3, 4, 5, 6]
    assert [r.message for r in caplog.records if "another integration reports" in r.message]


def test_ranks_other_than_the_first_report_steps_only(captured: Captured) -> None:
    """Evaluations, the summary and checkpoints are the same on all ranks."""
    callback = TrainwardenCallback()
    args = SimpleNamespace(run_name=None, output_dir="out", world_size=2, logging_nan_inf_filter=False)
    state = SimpleNamespace(global_step=1, epoch=0.5, is_world_process_zero=False)
    control = SimpleNamespace(should_log=False, should_evaluate=False, should_save=True)

    callback.on_train_begin(args, state, control)
    callback.on_step_begin(args, state, control)
    callback.on_step_end(args, state, control)
    callback.on_log(args, state, control, logs={"eval_loss": 1.0})
    callback.on_save(args, state, control)
    callback.on_log(args, state, control, logs={"train_loss": 1.0, "train_runtime": 2.0})
    callback.on_train_end(args, state, control)

    assert {log.name for log in captured.logs} == {"train.lifecycle", "train.step"}
    assert captured.spans == []


def test_times_that_a_trainer_logs_itself_do_not_replace_the_measured_ones(captured: Captured) -> None:
    """TRL logs a step_time of its own, of batches; it stays under another name."""
    callback = TrainwardenCallback()
    args = SimpleNamespace(run_name=None)
    state = SimpleNamespace(global_step=1, epoch=0.5, is_world_process_zero=True)
    control = SimpleNamespace(should_log=True, should_evaluate=False, should_save=False)

    callback.on_train_begin(args, state, control)
    callback.on_step_end(args, state, control)
    callback.on_log(args, state, control, logs={"loss": 1.0, "step_time": 99.0})

    (values,) = steps(captured)
    assert values["step_time"] != 99.0
    assert values["logged/step_time"] == 99.0


def test_the_callback_starts_a_session_with_the_name_of_the_trainer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing else is needed: one argument of the Trainer."""
    monkeypatch.setattr(emitter, "init", lambda **settings: asked.append(settings))
    asked: list[dict[str, Any]] = []
    tiny.trainer(tmp_path, [TrainwardenCallback(role="actor")], run_name="sft-7")

    assert asked == [{"run": "sft-7", "role": "actor"}]
