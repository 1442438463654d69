"""What the torch probes add to a step, in the training thread, against a step of the same work without them.

The peer of a call is what does the same job elsewhere: torch's own norm of all gradients, torch's profiler.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import emitter
from bench.row import Row
from emitter.testing import capture

_ROUNDS = 400


def _best_us(call: Callable[[], object]) -> float:
    """Median of the fastest half: what the call takes when nothing else runs."""
    taken = []
    for _ in range(_ROUNDS):
        began = time.perf_counter_ns()
        call()
        taken.append(time.perf_counter_ns() - began)
    return statistics.median(sorted(taken)[: _ROUNDS // 2]) / 1000


def _model(layers: int) -> tuple[Any, Any, Any, Any]:
    import torch

    model = torch.nn.Sequential(*[torch.nn.Linear(64, 64) for _ in range(layers)])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    inputs = torch.randn(4, 64)
    model(inputs).sum().backward()
    return torch, model, optimizer, inputs


def _phases() -> Row:
    """The hooks of one step: forward, output, backward, optimizer."""
    torch, model, _, inputs = _model(2)
    from emitter.probes.torch_clock import CpuClock
    from emitter.probes.torch_phases import Phases

    phases = Phases(torch, lambda: clock, lambda: True)
    clock = CpuClock(lambda name, seconds: None)
    output = model(inputs)

    def hooks() -> None:
        phases.before_forward(model, ())
        phases.after_forward(model, (), output)
        phases._backward = clock.mark()
        phases._backward_ended()
        phases.before_optimizer()
        phases.after_optimizer()

    def profiled() -> None:
        for name in ("forward", "backward", "optimizer"):
            with torch.profiler.record_function(name):
                pass

    ours = _best_us(hooks)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]):
        peer = _best_us(profiled)
    return Row(
        "phases of a torch step, hooks only", ours, peer, "µs", "3 ranges of torch.profiler", "< 20 µs"
    )


def _norm() -> Row:
    """Gradient norm of a model with 200 parameters."""
    torch, model, optimizer, _ = _model(100)
    from emitter.probes.torch_norms import gradient_norm

    def peer() -> None:
        torch.nn.utils.get_total_norm([parameter.grad for parameter in model.parameters()])

    return Row(
        "gradient norm, 200 tensors", _best_us(lambda: gradient_norm(torch, optimizer)), _best_us(peer), "µs",
        "torch.nn.utils.get_total_norm", "<= 1x",
    )  # fmt: skip


def _data_wait() -> Row:
    """One batch of a DataLoader whose data set costs nothing."""
    import torch

    loader = torch.utils.data.DataLoader(range(10**9), batch_size=1)
    batches = iter(loader)
    peer = _best_us(lambda: next(batches))
    with capture(data_wait=True):
        ours = _best_us(lambda: next(batches))
    return Row("a batch of the DataLoader, its wait measured", ours, peer, "µs", "not measured", "<= 1.1x")


def _stacks() -> Row:
    """A dump of all threads; nothing of it is on the step's path."""
    import traceback

    from emitter.probes.stacks import stacks

    return Row("stacks of this process", _best_us(stacks), _best_us(traceback.format_stack), "µs",
               "traceback of one thread", "")  # fmt: skip


def _no_session() -> Row:
    """A watched model while there is no session."""
    _, model, optimizer, inputs = _model(2)

    def step() -> None:
        model(inputs).sum().backward()
        optimizer.step()

    peer = _best_us(step)
    watched = emitter.watch(model, optimizer)
    ours = _best_us(step)
    watched.remove()
    return Row("a small step, watched, without a session", ours, peer, "µs", "not watched", "<= 1.1x")


def measure() -> list[Row]:
    """Each probe that runs in the training thread, and a dump of stacks."""
    import torch

    torch.set_num_threads(1)
    return [_phases(), _norm(), _data_wait(), _no_session(), _stacks()]
