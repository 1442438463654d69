"""Hugging Face's Trainer, and all that derive from it (TRL): one callback.

from emitter.integrations.huggingface import TrainwardenCallback
trainer = Trainer(..., callbacks=[TrainwardenCallback(run="sft-7")])

One ``train.step`` for each optimizer step, on every rank. What the Trainer logs at a step goes with that
step; evaluations, the summary and checkpoints are reported by the first process only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import emitter
from emitter._guard import guard, logger
from emitter.integrations._commands import Commands
from emitter.integrations._loop import Loop
from emitter.integrations._pending import Pending
from emitter.integrations._phases import Phase
from emitter.integrations._trainer_saves import TrainerSaves

try:
    from transformers.trainer_callback import TrainerCallback
except ImportError as error:
    raise ImportError(
        "emitter.integrations.huggingface needs transformers (with accelerate and torch): "
        "pip install 'transformers[torch]'"
    ) from error

_EVAL: Final = "eval_"


class TrainwardenCallback(TrainerCallback):  # type: ignore[misc]
    """Reports training; commands act at the end of an optimizer step.

    ``run`` and ``settings`` are those of ``emitter.init``, which is called unless it was before; without
    ``run`` it is the Trainer's ``run_name``. ``verify``: checkpoints are read back in the background, which
    makes them targets of a rollback. Raises SettingError for a bad setting, and nothing else.
    """

    def __init__(self, run: str | None = None, *, verify: bool = True, **settings: Any) -> None:
        self._loop = Loop(run, settings)
        self._pending = Pending(self._loop)
        self._commands = Commands()
        self._eval = Phase("eval")
        self._saves = TrainerSaves(verify)
        self._rate: Any = None
        self._evaluated: set[str] = set()

    def on_init_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The Trainer is made."""
        self._loop.begin(getattr(args, "run_name", None))

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Training starts, or goes on from a checkpoint."""
        self._loop.begin(getattr(args, "run_name", None))
        with guard:
            if not self._loop.claim():
                return
            self._pending.begin()
            self._commands.on("save", self._saves.ask)
            self._commands.learning_rate(kwargs.get("optimizer"), kwargs.get("lr_scheduler"))
            if getattr(args, "logging_nan_inf_filter", False):
                logger.info(
                    "the Trainer leaves losses that are NaN out of its logs; TrainingArguments("
                    "logging_nan_inf_filter=False) shows them"
                )

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The batches of the next step are there."""
        with guard:
            self._eval.leave()
            self._saves.missed(args)
            self._emit(args, control)
            self._pending.data_came()

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The weights have changed; the scheduler has not moved yet."""
        with guard:
            groups = getattr(kwargs.get("optimizer"), "param_groups", None)
            self._rate = groups[0].get("lr") if groups else None

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """One optimizer step ended. It is reported now, or with what the Trainer is about to log of it."""
        with guard:
            rate, self._rate = self._rate, None
            self._pending.hold(state.global_step, state.epoch, rate)
            if not control.should_log and not _ends_epoch(state):
                self._emit(args, control)
                self._ahead(args, state, control)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """The Trainer, or one that derives from it, logs."""
        with guard:
            values = {name: value for name, value in (logs or {}).items() if name != "epoch"}
            if self._eval.inside or any(name.startswith(_EVAL) for name in values):
                self._emit(args, control)
                self._report_eval(state, values)
            elif _is_summary(values):
                self._emit(args, control)
                self._summary(state, values)
            else:
                self._pending.logged(values)
                self._emit(args, control)
                self._ahead(args, state, control)

    def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """One batch of an evaluation."""
        with guard:
            self._eval.enter()

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """An evaluation ended; most of it has come through ``on_log``."""
        with guard:
            self._emit(args, control)
            self._report_eval(state, metrics or {})
            self._evaluated.clear()
            self._eval.leave()
            self._pending.restart_clock()
            self._ahead(args, state, control)

    def on_predict(
        self, args: Any, state: Any, control: Any, metrics: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """``trainer.predict`` ended."""
        self.on_evaluate(args, state, control, metrics)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A checkpoint is written."""
        with guard:
            self._emit(args, control)
            if self._loop.reporting:
                self._saves.written(args, state)
            self._pending.restart_clock()

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The last batch of an epoch is done."""
        with guard:
            if not control.should_log:
                self._emit(args, control)
                self._ahead(args, state, control)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Training is over; the process may go on."""
        with guard:
            self._emit(args, control)
            self._summary(state, self._pending.take_rest())
            self._saves.missed(args)
            self._commands.close()
            self._eval.leave()
            self._loop.release()

    def _emit(self, args: Any, control: Any) -> None:
        """Report the step that is held, and do what commands asked for."""
        if self._pending.emit():
            control.should_training_stop = True
        if self._saves.asked:
            self._saves.begin_asked(args, control)

    def _ahead(self, args: Any, state: Any, control: Any) -> None:
        """What the Trainer does next: an evaluation comes before a save."""
        if not self._loop.reporting:
            return
        if control.should_evaluate:
            self._eval.enter()
        elif control.should_save and state.is_world_process_zero:
            self._saves.begin(args, state)

    def _report_eval(self, state: Any, metrics: Mapping[str, Any]) -> None:
        new = {name: value for name, value in metrics.items() if name not in self._evaluated}
        self._evaluated.update(new)
        new.pop("epoch", None)
        if new and state.is_world_process_zero and not self._loop.refused:
            emitter.eval(state.global_step, new)

    def _summary(self, state: Any, values: Mapping[str, Any]) -> None:
        if values and self._loop.reporting and state.is_world_process_zero:
            emitter.log("summary of training", summary=dict(values))


def _ends_epoch(state: Any) -> bool:
    """Whether the epoch is about to end, where the Trainer may log, evaluate and save once more."""
    epoch = state.epoch
    return epoch is not None and float(epoch).is_integer()


def _is_summary(values: Mapping[str, Any]) -> bool:
    """What the Trainer logs once, at the end: means over the whole run, under names of a step."""
    return "train_loss" in values and "train_runtime" in values and "loss" not in values
