"""Forward, backward and optimizer time of a model, through hooks that change nothing and never synchronise.

Forward: a pair of hooks on the module that is watched. Backward: from the first gradient of its output to the
end of the pass, which autograd's engine reports. Optimizer: torch's own hooks around ``step``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from emitter._guard import guard
from emitter.probes.torch_clock import CpuClock, CudaClock

FORWARD: Final = "forward_time"
BACKWARD: Final = "backward_time"
OPTIMIZER: Final = "optimizer_time"
OUTPUTS: Final = 8
DEPTH: Final = 3

_nothing: Final = contextlib.nullcontext().__exit__
"""Takes anything and returns None. Copies of a watched model carry this, from the standard library alone."""


class Hook:
    """A hook for a module. Pickles and copies of the model get one that does nothing."""

    def __init__(self, call: Callable[..., None]) -> None:
        self._call = call

    def __call__(self, *arguments: Any) -> None:
        self._call(*arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (contextlib.nullcontext(), "__exit__")


class Phases:
    """Measures one model, while ``wanted()``; ``clock()`` is that of the device that the model is on now."""

    def __init__(
        self, torch: Any, clock: Callable[[], CpuClock | CudaClock], wanted: Callable[[], bool]
    ) -> None:
        self._torch, self._clock, self._wanted = torch, clock, wanted
        self._compiling = torch.compiler.is_compiling
        self._engine = torch.autograd.Variable._execution_engine
        self._forward: Any = None
        self._backward: Any = None
        self._optimizer: Any = None

    def before_forward(self, module: Any, arguments: Any) -> None:
        """Forward pre-hook of the module."""
        if self._compiling():  # Dynamo takes this for true and leaves the rest out of its graph
            return
        with guard:
            # Inside a backward pass it is activation checkpointing that runs the model again.
            wanted = self._wanted() and self._torch.is_grad_enabled() and self._backward is None
            self._forward = self._clock().mark() if wanted else None

    def after_forward(self, module: Any, arguments: Any, output: Any) -> None:
        """Forward hook of the module."""
        if self._compiling():
            return
        with guard:
            start, self._forward = self._forward, None
            if start is None:
                return
            self._clock().between(FORWARD, start)
            for tensor in islice(_tensors(output, self._torch.Tensor), OUTPUTS):
                tensor.register_hook(self._first_gradient)

    def before_optimizer(self) -> None:
        """The optimizer's step begins."""
        self._backward = None  # one that an exception ended would be in the way of the next
        self._optimizer = self._clock().mark()

    def after_optimizer(self) -> None:
        """The optimizer's step has ended."""
        start, self._optimizer = self._optimizer, None
        if start is not None:
            self._clock().between(OPTIMIZER, start)

    def _first_gradient(self, gradient: Any) -> None:
        if self._backward is not None or self._compiling():
            return
        with guard:
            self._backward = self._clock().mark()
            self._engine.queue_callback(self._backward_ended)

    def _backward_ended(self) -> None:
        with guard:
            start, self._backward = self._backward, None
            if start is not None:
                self._clock().between(BACKWARD, start)


def _tensors(value: Any, kind: type, depth: int = 0) -> Iterator[Any]:
    """Tensors of an output that gradients will flow through."""
    if isinstance(value, kind):
        if getattr(value, "requires_grad", False):
            yield value
        return
    if depth >= DEPTH:
        return
    if isinstance(value, Mapping):
        value = list(value.values())
    elif hasattr(value, "__dataclass_fields__"):
        value = list(vars(value).values())
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from _tensors(part, kind, depth + 1)
