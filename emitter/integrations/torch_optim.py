"""A training loop of one's own around a torch optimizer: one line before the loop.

from emitter.integrations.torch_optim import watch
steps = watch(optimizer, scheduler)
...
    steps.log(loss=loss)      # before optimizer.step(), if there is something to say
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import emitter
from emitter._guard import guard
from emitter.integrations._commands import Commands
from emitter.integrations._loop import Loop


class Watched:
    """What ``watch`` returns. ``close`` ends it."""

    def __init__(self, optimizer: Any, scheduler: Any, step: int) -> None:
        self.step = step
        self._values: dict[str, Any] = {}
        self._loop = Loop(None, {})
        self._commands = Commands()
        self._commands.learning_rate(optimizer, scheduler)
        self._hook = optimizer.register_step_post_hook(self._stepped)

    def log(self, metrics: Mapping[str, Any] | None = None, /, **values: Any) -> None:
        """Values of the step that ends with the next ``optimizer.step()``."""
        if metrics is not None:
            self._values.update(metrics)
        self._values.update(values)

    def close(self) -> None:
        """Report no more steps."""
        self._hook.remove()
        self._commands.close()
        self._loop.release()

    def _stepped(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        """Called by torch when the weights have changed. May raise emitter.Stop and emitter.Restart."""
        values, self._values = self._values, {}
        step, self.step = self.step, self.step + 1
        if not self._loop.reporting and (self._loop.refused or not self._loop.claim()):
            return
        with guard:
            values.setdefault("learning_rate", optimizer.param_groups[0].get("lr"))
        emitter.step(step, values)


def watch(optimizer: Any, scheduler: Any = None, *, step: int = 0) -> Watched:
    """One ``train.step`` for each ``optimizer.step()``, with its learning rate; the first is number ``step``.

    The end of ``optimizer.step()`` is where commands act; ``set`` reaches the scheduler too. A step that a
    GradScaler skips is none. Needs torch 2.0 or later: raises TypeError for what is no such optimizer.
    """
    if not hasattr(optimizer, "register_step_post_hook"):
        raise TypeError(
            f"watch: expected a torch.optim.Optimizer (torch 2.0 or later), got {type(optimizer).__name__}"
        )
    return Watched(optimizer, scheduler, step)
