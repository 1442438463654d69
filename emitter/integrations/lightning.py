"""Lightning's Trainer: one callback.

from emitter.integrations.lightning import TrainwardenCallback
trainer = Trainer(..., callbacks=[TrainwardenCallback(run="gan-3")])

One ``train.step`` for each optimizer step, on every rank, with what ``self.log`` has for it; evaluations and
checkpoints are reported by the first process only.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import emitter
from emitter._guard import guard
from emitter.integrations._commands import Commands
from emitter.integrations._loop import Loop
from emitter.integrations._pending import Pending
from emitter.integrations._phases import Phase
from emitter.integrations._saves import Save
from emitter.vocabulary.metrics import canonical

try:
    # Both names of the library may be installed; what the trainer uses is loaded already.
    if "pytorch_lightning" in sys.modules and "lightning.pytorch" not in sys.modules:
        from pytorch_lightning.callbacks import Callback
    else:
        from lightning.pytorch.callbacks import Callback
except ImportError as error:
    raise ImportError("emitter.integrations.lightning needs Lightning: pip install lightning") from error

FORENSIC: Final = "forensic"


class TrainwardenCallback(Callback):  # type: ignore[misc]
    """Reports training; commands act at the end of an optimizer step.

    ``run`` and ``settings`` are those of ``emitter.init``, which is called unless it was before. ``verify``:
    checkpoints are read back in the background, which makes them targets of a rollback. Raises SettingError
    for a bad setting, and nothing else.
    """

    def __init__(self, run: str | None = None, *, verify: bool = True, **settings: Any) -> None:
        self._loop = Loop(run, settings)
        self._pending = Pending(self._loop)
        self._commands = Commands()
        self._eval = Phase("eval")
        self._verify, self._kind = verify, "regular"
        self._steps = 0
        self._rate: Any = None
        self._seen: dict[str, Any] = {}
        self._unwrap: Callable[[], None] | None = None

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """``fit``, ``validate`` or ``test`` begins."""
        self._loop.begin()
        with guard:
            self._wrap_saves(trainer)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """The first epoch begins; the state of a checkpoint, if there is one, is loaded."""
        with guard:
            if not self._loop.claim():
                return
            self._steps = trainer.global_step
            self._commands.on("save", lambda command: self._save(trainer, command))
            schedulers = [config.scheduler for config in trainer.lr_scheduler_configs]
            if trainer.optimizers:
                self._commands.learning_rate(trainer.optimizers[0], schedulers[0] if schedulers else None)
            self._pending.begin()

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """A batch is there."""
        with guard:
            self._pending.data_came()

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        """The rate of the step; schedulers move before the batch ends."""
        with guard:
            self._rate = optimizer.param_groups[0].get("lr")

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """A batch is done, and with the last one of an accumulation an optimizer step."""
        with guard:
            if trainer.global_step == self._steps:
                self._pending.data_asked()
                return
            self._steps = trainer.global_step
            rate, self._rate = self._rate, None
            self._pending.hold(self._steps, trainer.current_epoch, rate)
            values = self._changed(trainer)
            if not any(canonical(name) == "loss" for name in values):
                values.update(_loss(trainer, outputs))
            self._pending.logged(values)
            if self._pending.emit():
                trainer.should_stop = True

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Means over an epoch belong to no step."""
        with guard:
            values = self._changed(trainer)
            if values and self._loop.reporting and trainer.is_global_zero:
                emitter.log("summary of an epoch", epoch=trainer.current_epoch, summary=values)
            self._pending.restart_clock()

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """An evaluation begins."""
        with guard:
            self._changed(trainer)
            self._eval.enter()

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """An evaluation ended."""
        with guard:
            self._eval.leave()
            values = self._changed(trainer)
            first = trainer.is_global_zero and not self._loop.refused
            if values and first and not trainer.sanity_checking:
                emitter.eval(trainer.global_step, values)
            self._pending.restart_clock()

    def on_test_start(self, trainer: Any, pl_module: Any) -> None:
        """``trainer.test`` is an evaluation too."""
        self.on_validation_start(trainer, pl_module)

    def on_test_end(self, trainer: Any, pl_module: Any) -> None:
        """``trainer.test`` has ended."""
        self.on_validation_end(trainer, pl_module)

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """It is over, also by an exception; the process may go on."""
        with guard:
            self._eval.leave()
            self._commands.close()
            self._loop.release()
            self._seen.clear()
            if self._unwrap is not None:
                self._unwrap()

    def _changed(self, trainer: Any) -> dict[str, Any]:
        """The metrics that were logged since the last call: Lightning keeps the old ones beside them."""
        metrics: Mapping[str, Any] = trainer.callback_metrics
        new = {name: value for name, value in metrics.items() if value is not self._seen.get(name)}
        self._seen = dict(metrics)
        return new

    def _wrap_saves(self, trainer: Any) -> None:
        """Every checkpoint goes through ``trainer.save_checkpoint``; no hook says when it is written."""
        if self._unwrap is not None or self._loop.refused:
            return
        original = trainer.save_checkpoint

        def save_checkpoint(filepath: Any, *arguments: Any, **options: Any) -> None:
            save = None
            with guard:
                if trainer.is_global_zero:
                    save = Save(trainer.global_step, Path(filepath).absolute(), self._kind)
            try:
                original(filepath, *arguments, **options)
            except BaseException as error:
                if save is not None:
                    save.failed(error)
                raise
            with guard:
                if save is not None:
                    save.written(verify=self._verify)
                self._pending.restart_clock()

        def unwrap() -> None:
            self._unwrap = None
            if trainer.__dict__.get("save_checkpoint") is save_checkpoint:
                del trainer.save_checkpoint

        trainer.save_checkpoint, self._unwrap = save_checkpoint, unwrap

    def _save(self, trainer: Any, command: Any) -> dict[str, Any]:
        """A ``save`` command: forensic ones lie apart from the regular series."""
        kind = str(command.args.get("kind", FORENSIC))
        path = Path(trainer.default_root_dir) / kind / f"step={trainer.global_step}.ckpt"
        self._kind = kind
        try:
            trainer.save_checkpoint(path)
        finally:
            self._kind = "regular"
        return {"path": str(path.absolute()), "step": trainer.global_step, "kind": kind}


def _loss(trainer: Any, outputs: Any) -> dict[str, Any]:
    """What ``training_step`` returned; Lightning has divided it by the batches of an accumulation."""
    loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
    batches = trainer.accumulate_grad_batches
    return {} if loss is None else {"loss": loss if batches == 1 else loss * batches}
