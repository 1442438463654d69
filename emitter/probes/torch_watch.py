"""``emitter.watch``: gradient norm and step phases of a model, added to the ``train.step`` that follows."""

from __future__ import annotations

import importlib
import sys
import weakref
from collections.abc import Callable
from typing import Any, Final

from emitter import _api
from emitter._guard import guard
from emitter.probes import torch_clips
from emitter.probes.torch_clock import CpuClock, CudaClock
from emitter.probes.torch_norms import gradient_norm
from emitter.probes.torch_phases import Hook, Phases

GRAD_NORM: Final = "grad_norm"
_CLIPPED: Final = 0
_SHARDED: Final = ("FullyShardedDataParallel", "FSDPModule")

_watched: weakref.WeakKeyDictionary[Any, Watched] = weakref.WeakKeyDictionary()


class Watched:
    """The hooks on one model and its optimizers; ``remove()`` takes them away."""

    def __init__(self, model: Any, optimizers: list[Any], *, grad_norm: bool, phases: bool) -> None:
        self._torch = sys.modules["torch"]
        self._parameters = tuple(model.parameters())
        self._own = {id(parameter) for parameter in self._parameters}
        self._members: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()
        self._given = bool(optimizers)
        for optimizer in optimizers:
            self._members[optimizer] = True
        self._clock: CpuClock | CudaClock = CpuClock(_add)
        self._norms: dict[int, Any] = {}
        self._grad_norm = grad_norm and not _is_sharded(model)
        self._phases = Phases(self._torch, self._clock_now, _listening) if phases else None
        self._removers: list[Callable[[], object]] = []
        self._hook_model(model)
        self._hook_optimizers()

    def remove(self) -> None:
        """Stop watching; the model is as it was."""
        while self._removers:
            self._removers.pop()()
        self._parameters, self._own = (), set()

    def _hook_model(self, model: Any) -> None:
        if self._phases is not None:
            self._keep(model.register_forward_pre_hook(Hook(self._phases.before_forward)))
            self._keep(model.register_forward_hook(Hook(self._phases.after_forward)))

    def _hook_optimizers(self) -> None:
        # For all optimizers of the process, since one may be wrapped, or made later.
        hooks: Any = importlib.import_module("torch.optim.optimizer")
        self._keep(hooks.register_optimizer_step_pre_hook(self._before_step))
        self._keep(hooks.register_optimizer_step_post_hook(self._after_step))
        if self._grad_norm:
            self._removers.append(torch_clips.hear(self._clipped))

    def _keep(self, handle: Any) -> None:
        self._removers.append(handle.remove)

    def _clock_now(self) -> CpuClock | CudaClock:
        # The model may have been moved after ``watch``.
        if isinstance(self._clock, CpuClock) and self._parameters and self._parameters[0].is_cuda:
            self._clock = CudaClock(_add, self._torch.cuda)
        return self._clock

    def _before_step(self, optimizer: Any, arguments: Any, named: Any) -> None:
        if self._torch.compiler.is_compiling() or _api._session is None or not self._is_ours(optimizer):
            return
        with guard:
            if self._grad_norm:
                self._measure_norm(optimizer)
            if self._phases is not None:
                self._clock_now().read()
                self._phases.before_optimizer()

    def _after_step(self, optimizer: Any, arguments: Any, named: Any) -> None:
        if self._torch.compiler.is_compiling() or self._phases is None or not self._is_ours(optimizer):
            return
        with guard:
            self._phases.after_optimizer()

    def _is_ours(self, optimizer: Any) -> bool:
        """One that was given; without any, those that hold a parameter of the model."""
        found = self._members.get(optimizer)
        if found is None:
            parameters = (one for group in optimizer.param_groups for one in group["params"])
            found = not self._given and any(id(one) in self._own for one in parameters)
            self._members[optimizer] = found
        return found

    def _clipped(self, gradients: list[Any], norm: Any) -> None:
        """Clipping has computed the norm of before it: the one that is wanted, for nothing."""
        if type(norm) is not self._torch.Tensor:
            return
        if any(parameter.grad is gradients[0] for parameter in self._parameters):
            self._put(_CLIPPED, norm.detach())

    def _measure_norm(self, optimizer: Any) -> None:
        session = _api._session
        if session is None or (_CLIPPED in self._norms and GRAD_NORM in session.beside):
            return
        norm = gradient_norm(self._torch, optimizer)
        if norm is not None:
            self._put(id(optimizer), norm)

    def _put(self, source: int, norm: Any) -> None:
        """Into the next step; of several optimizers in one step together."""
        session = _api._session
        if session is None:
            return
        if GRAD_NORM not in session.beside:
            self._norms = {}
        self._norms[source] = norm
        norms = list(self._norms.values())
        if len(norms) > 1:
            norm = self._torch.linalg.vector_norm(self._torch.stack([one.to(norm.device) for one in norms]))
        session.beside[GRAD_NORM] = norm


def watch(model: Any, optimizer: Any, *, grad_norm: bool, phases: bool) -> Watched:
    """Hook a model; one that is watched already is hooked anew. Raises TypeError for what is none."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(model, torch.nn.Module):
        raise TypeError(f"watch: expected `model` to be a torch.nn.Module, got {type(model).__name__}")
    optimizers = list(optimizer) if isinstance(optimizer, (list, tuple)) else [optimizer]
    optimizers = [one for one in optimizers if one is not None]
    for one in optimizers:
        if not isinstance(one, torch.optim.Optimizer):
            raise TypeError(
                f"watch: expected `optimizer` to be a torch.optim.Optimizer, got {type(one).__name__}"
            )
    before = _watched.pop(model, None)
    if before is not None:
        before.remove()
    _watched[model] = made = Watched(model, optimizers, grad_norm=grad_norm, phases=phases)
    # Hooks on all optimizers would keep the parameters of a model alive that the trainer has dropped.
    weakref.finalize(model, made.remove).atexit = False
    return made


def _listening() -> bool:
    return _api._session is not None


def _add(name: str, seconds: float) -> None:
    session = _api._session
    if session is not None:
        beside = session.beside
        beside[name] = beside.get(name, 0.0) + seconds


def _is_sharded(model: Any) -> bool:
    """Gradients here are a part of the whole: their norm would need the other ranks."""
    return any(base.__name__ in _SHARDED for module in model.modules() for base in type(module).__mro__)
