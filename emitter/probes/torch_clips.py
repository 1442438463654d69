"""Tells of the norms that ``torch.nn.utils.clip_grad_norm_`` computes: afterwards the gradients are clipped.

However the trainer imported that function, it looks its helper up in its module, and there we listen. The
helper came with torch 2.6; before, and where it moves, nothing is heard.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Final

from emitter._guard import guard

MODULE: Final = "torch.nn.utils.clip_grad"
HELPER: Final = "_get_total_norm"

Heard = Callable[[list[Any], Any], None]
"""Takes the gradients and their 2-norm, a tensor."""

_listeners: list[Heard] = []
_undo: list[Callable[[], None]] = []


def hear(listener: Heard) -> Callable[[], None]:
    """Begin to listen; gives what ends it."""
    if not _listeners:
        _install()
    _listeners.append(listener)

    def stop() -> None:
        if listener in _listeners:
            _listeners.remove(listener)
        if not _listeners and _undo:
            _undo.pop()()

    return stop


def _install() -> None:
    module: Any = importlib.import_module(MODULE)
    before = getattr(module, HELPER, None)
    if before is None or _undo:
        return
    is_compiling = importlib.import_module("torch").compiler.is_compiling

    def ours(tensors: Any, norm_type: Any = 2.0, *others: Any, **named: Any) -> Any:
        # Dynamo takes this for true and leaves the rest out of its graph.
        if is_compiling() or isinstance(tensors, module.torch.Tensor):
            return before(tensors, norm_type, *others, **named)
        gradients = list(tensors)
        norm = before(gradients, norm_type, *others, **named)
        with guard:
            if gradients and float(norm_type) == 2.0:
                for listener in _listeners:
                    listener(gradients, norm)
        return norm

    def undo() -> None:
        if getattr(module, HELPER) is ours:
            setattr(module, HELPER, before)

    setattr(module, HELPER, ours)
    _undo.append(undo)
