"""Lightning's Trainer with the callback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

import emitter
from emitter import _api
from emitter.integrations import _saves
from emitter.integrations.lightning import TrainwardenCallback
from emitter.testing import Captured

pytestmark = [
    # Lightning's own, about workers of the loader and about torch's pytree.
    pytest.mark.filterwarnings("ignore::lightning.pytorch.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
]


class Line(LightningModule):  # type: ignore[misc]
    """Fits a line; logs under names that people use. ``say``: what training_step logs."""

    def __init__(self, say: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = torch.nn.Sequential(torch.nn.Linear(1, 4), torch.nn.Dropout(0.5), torch.nn.Linear(4, 1))
        self.say = say
        self.losses: list[float] = []

    def training_step(self, batch: Any, index: int) -> Any:
        loss = torch.nn.functional.mse_loss(self.net(batch), 2 * batch)
        self.losses.append(loss.item())
        if self.say:
            self.log("train_loss", loss)
            self.log("accuracy", float(index), on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: Any, index: int) -> None:
        self.log("val_loss", torch.nn.functional.mse_loss(self.net(batch), 2 * batch))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        return [optimizer], [
            {"scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 4, 0.5), "interval": "step"}
        ]


class At(Callback):  # type: ignore[misc]
    """Calls something when the batch of this step is there."""

    def __init__(self, step: int, action: Any) -> None:
        self.step, self.action = step, action

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step + 1 == self.step:
            self.action()


def fit(
    out: Path, callbacks: list[Any], module: Line | None = None, **arguments: Any
) -> tuple[Trainer, Line]:
    """Six batches of four numbers, one epoch, on the CPU; ``arguments`` override."""
    chosen = {
        "max_epochs": 1, "logger": False, "enable_checkpointing": False, "enable_progress_bar": False,
        "enable_model_summary": False, "accelerator": "cpu", "num_sanity_val_steps": 1, **arguments,
    }  # fmt: skip
    module = module or Line()
    data = torch.utils.data.DataLoader(torch.linspace(0, 1, 24).unsqueeze(1), batch_size=4)
    trainer = Trainer(default_root_dir=out, callbacks=callbacks, **chosen)
    trainer.fit(module, data, data)
    return trainer, module


def steps(captured: Captured) -> list[dict[str, Any]]:
    return [log.attributes for log in captured.named("train.step")]


def test_every_optimizer_step_is_one_event(captured: Captured, tmp_path: Path) -> None:
    """What was logged for it, the rate it used, and its times."""
    _, module = fit(tmp_path, [TrainwardenCallback()])

    found = steps(captured)
    assert [values["train.step"] for values in found] == [1, 2, 3, 4, 5, 6]
    assert [values["train_loss"] for values in found] == pytest.approx(module.losses)
    assert [values["learning_rate"] for values in found] == pytest.approx([0.1] * 4 + [0.05] * 2)
    assert all(0 <= values["data_time"] <= values["step_time"] for values in found)
    assert not any({"loss", "val_loss", "accuracy"} & set(values) for values in found)


def test_accumulated_batches_are_one_step(captured: Captured, tmp_path: Path) -> None:
    """Two batches a step, and a module that logs nothing: its loss is reported all the same."""
    _, module = fit(tmp_path, [TrainwardenCallback()], Line(say=False), accumulate_grad_batches=2)

    found = steps(captured)
    assert [values["train.step"] for values in found] == [1, 2, 3]
    assert [values["loss"] for values in found] == pytest.approx(module.losses[1::2])


def test_an_evaluation_is_one_event(captured: Captured, tmp_path: Path) -> None:
    """Its own metrics only; the sanity check before training is none."""
    fit(tmp_path, [TrainwardenCallback()], max_epochs=2)

    evals = [log.attributes for log in captured.named("train.eval")]
    assert [values["train.step"] for values in evals] == [6, 12]
    assert all({"val_loss"} == {n for n in values if not n.startswith("train.")} for values in evals)
    assert captured.session._phases == []


def test_means_of_an_epoch_are_a_summary(captured: Captured, tmp_path: Path) -> None:
    """They belong to no step."""
    fit(tmp_path, [TrainwardenCallback()])

    (log,) = captured.named("train.log")
    assert log.attributes["summary/accuracy"] == 2.5


def test_a_checkpoint_is_announced_sized_and_read_back(captured: Captured, tmp_path: Path) -> None:
    """Those of ModelCheckpoint, and the trainer is left as it was."""
    keep = ModelCheckpoint(tmp_path / "kept", every_n_train_steps=3, save_top_k=-1)
    trainer, _ = fit(tmp_path, [TrainwardenCallback(), keep], enable_checkpointing=True)
    _saves.join(10)

    saved = [span for span in captured.spans if span.name == "checkpoint.save"]
    assert [span.attributes["train.step"] for span in saved] == [3, 6]
    assert len(captured.named("checkpoint.started")) == 2
    for span in saved:
        path = Path(str(span.attributes["checkpoint.path"]))
        assert span.attributes["checkpoint.bytes"] == path.stat().st_size
        assert span.attributes["checkpoint.verified"] is True
    assert "save_checkpoint" not in vars(trainer)


def test_a_save_that_raises_is_a_failed_span_and_still_raises(captured: Captured, tmp_path: Path) -> None:
    """The trainer sees its own error; the history sees a failed save."""
    (tmp_path / "taken").write_text("a file where a folder should be")
    keep = ModelCheckpoint(tmp_path / "kept", every_n_train_steps=3)
    keep.dirpath = str(tmp_path / "taken" / "in")

    with pytest.raises(OSError, match="taken"):
        fit(tmp_path, [TrainwardenCallback(), keep], enable_checkpointing=True)

    (span,) = [span for span in captured.spans if span.name == "checkpoint.save"]
    assert span.error is not None


def test_training_is_bit_identical_with_and_without(tmp_path: Path) -> None:
    """Same seed, dropout on: the same losses."""
    _, plain = fit(tmp_path, [], max_epochs=2)
    emitter.init(run="watched", endpoint=f"file:{tmp_path}/telemetry", flush_s=0.01)
    _, watched = fit(tmp_path, [TrainwardenCallback()], max_epochs=2)
    emitter.shutdown()

    assert watched.losses == plain.losses


def test_commands_act_at_the_end_of_a_step(captured: Captured, tmp_path: Path) -> None:
    """A forensic save, then a smaller rate, then the end: as the Trainer ends by itself."""
    sent: list[Any] = []
    asks = [
        At(2, lambda: sent.append(captured.command("save"))),
        At(3, lambda: sent.append(captured.command("set", args={"parameter": "lr", "value": 0.01}))),
        At(5, lambda: sent.append(captured.command("stop"))),
    ]
    trainer, _ = fit(tmp_path, [*asks, TrainwardenCallback()])
    _saves.join(10)

    assert [captured.states(command)[-1] for command in sent] == ["succeeded"] * 3
    assert trainer.global_step == 5
    assert [values["learning_rate"] for values in steps(captured)][3:] == pytest.approx([0.01, 0.005])
    (span,) = [span for span in captured.spans if span.name == "checkpoint.save"]
    assert span.attributes["checkpoint.kind"] == "forensic"
    assert span.attributes["checkpoint.path"] == str(tmp_path / "forensic" / "step=2.ckpt")
    assert _api._tunables == {}
    assert _api._handlers == {}


def test_restart_ends_the_process_with_its_code(captured: Captured, tmp_path: Path) -> None:
    """A supervisor relaunches on 75, so the Trainer must not swallow it."""
    with pytest.raises(emitter.Restart) as raised:
        fit(tmp_path, [At(2, lambda: captured.command("restart")), TrainwardenCallback()])

    assert raised.value.code == 75
