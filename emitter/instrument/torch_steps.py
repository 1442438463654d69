"""A session for a trainer that has none, from the first step of its first optimizer on.

A process that steps an optimizer trains; launchers, workers of a DataLoader and tools import torch as well
and never do. One that calls ``emitter.init``, or an integration, is left to itself.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from emitter._guard import guard, logger

_pid = 0


def install(optimizers: Any) -> Any:
    """Hear of the first step, by the module ``torch.optim.optimizer``; gives torch's handle."""
    register = getattr(optimizers, "register_optimizer_step_pre_hook", None)
    if register is None:
        logger.warning("--instrument: this torch tells nothing of its optimizers' steps; 2.1 is needed")
        return None
    return register(_before_step)


def _before_step(optimizer: Any, args: Any, kwargs: Any) -> None:
    global _pid
    if sys.modules["torch"].compiler.is_compiling() or _pid == os.getpid():
        return
    _pid = os.getpid()
    with guard:
        _begin(optimizer)


def _begin(optimizer: Any) -> None:
    import emitter
    from emitter import _api

    if _api._session is not None:
        return
    rank, world_size = _place()
    emitter.init(rank=rank, world_size=world_size)
    from emitter.integrations.torch_optim import watch

    steps = watch(optimizer)
    norms = _measure(optimizer, steps)

    def give_way() -> None:
        norms.remove()
        steps.close()
        emitter.shutdown()

    _api._give_way = give_way


def _measure(optimizer: Any, steps: Any) -> Any:
    """The norm of the gradients, as they are when the optimizer takes them; gives the handle of the hook."""
    from emitter.probes.torch_norms import gradient_norm

    torch = sys.modules["torch"]

    def before(optimizer: Any, args: Any, kwargs: Any) -> None:
        if torch.compiler.is_compiling():
            return
        with guard:
            norm = gradient_norm(torch, optimizer)
            if norm is not None:
                steps.log(grad_norm=norm)

    return optimizer.register_step_pre_hook(before)


def _place() -> tuple[int | None, int | None]:
    """Rank and size where no launcher's variable says them, as below torch.multiprocessing."""
    group = sys.modules.get("torch.distributed")
    if "RANK" in os.environ or group is None or not (group.is_available() and group.is_initialized()):
        return None, None
    return group.get_rank(), group.get_world_size()
