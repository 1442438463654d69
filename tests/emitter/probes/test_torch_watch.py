"""`emitter.watch` on real torch models on the CPU: what it measures, and that nobody notices."""

from __future__ import annotations

import copy
import gc
import pickle
import re
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch.optim.optimizer import _global_optimizer_pre_hooks

import emitter
from emitter.probes import torch_clips, torch_watch
from emitter.testing import capture

Wrap = Callable[[torch.nn.Module], torch.nn.Module]


@pytest.fixture(autouse=True)
def unwatched() -> Iterator[None]:
    """Models that earlier tests watched may wait for the garbage collector."""
    yield
    for watched in list(torch_watch._watched.values()):
        watched.remove()


def model_and_data() -> tuple[torch.nn.Module, torch.Tensor, torch.Tensor]:
    """A small network with dropout, so that the state of the random numbers shows in its losses."""
    torch.manual_seed(7)
    model = torch.nn.Sequential(
        torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(32, 1)
    )
    return model, torch.randn(64, 16), torch.randn(64, 1)


def losses(steps: int, *, watched: bool, wrap: Wrap = lambda model: model, clip: bool = False) -> list[float]:
    """Train for some steps; `wrap` may compile the model."""
    model, inputs, targets = model_and_data()
    model = wrap(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    if watched:
        emitter.watch(model, optimizer)
    found = []
    for step in range(steps):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(inputs), targets)
        loss.backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.05)
        optimizer.step()
        found.append(loss.item())
        emitter.step(step, loss=found[-1])
    return [*found, float(torch.rand(()))]


@pytest.mark.parametrize("clip", [False, True])
def test_losses_are_bit_identical(clip: bool) -> None:
    """With and without, to the last bit; the random numbers after it, too."""
    with capture() as captured:
        watched = losses(10, watched=True, clip=clip)
        sent = captured.named("train.step")

    assert watched == losses(10, watched=False, clip=clip)
    assert all(
        {"grad_norm", "forward_time", "backward_time", "optimizer_time"} <= set(log.attributes)
        for log in sent
    )


def compiled(model: torch.nn.Module) -> torch.nn.Module:
    """Compiled in one graph: a graph break is an error."""
    return torch.compile(model, backend="aot_eager", fullgraph=True)


def compiled_inside(model: torch.nn.Module) -> torch.nn.Module:
    """The hooks are part of what is compiled."""
    model.compile(backend="aot_eager", fullgraph=True)
    return model


@pytest.mark.parametrize("wrap", [compiled, compiled_inside])
def test_compiled_models_work(wrap: Wrap) -> None:
    """One graph as before, the same losses; forward time where the compiled module was given."""
    with capture() as captured:
        watched = losses(4, watched=True, wrap=wrap)
        (*_, last) = captured.named("train.step")

    assert watched == losses(4, watched=False, wrap=wrap)
    assert {"grad_norm", "optimizer_time"} <= set(last.attributes)
    assert ("forward_time" in last.attributes) is (wrap is compiled)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_gradient_norm_is_that_of_torch(dtype: torch.dtype) -> None:
    """The number is the one that torch computes for all gradients together, in 32 bits."""
    model, inputs, targets = (one.to(dtype) for one in model_and_data())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with capture() as captured:
        emitter.watch(model, optimizer)
        torch.nn.functional.mse_loss(model(inputs), targets).backward()
        whole = torch.cat([one.grad.flatten() for one in model.parameters()])
        expected = torch.linalg.vector_norm(whole, dtype=torch.float32)
        optimizer.step()
        emitter.step(0)
        (log,) = captured.named("train.step")

    assert log.attributes["grad_norm"] == pytest.approx(expected.item(), rel=1e-6)


def test_the_norm_is_read_as_every_tensor() -> None:
    """Beside a tensor of the trainer's own, and alone: in the queue is a number, on the CPU at once."""
    model, inputs, targets = model_and_data()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with capture() as captured:
        emitter.watch(model, optimizer)
        for logged in ({}, {"loss": torch.tensor(1.5)}):
            torch.nn.functional.mse_loss(model(inputs), targets).backward()
            optimizer.step()
            emitter.step(0, logged)
            values = captured.session.queue.items[-1][5]
            assert type(values["grad_norm"]) is float
            assert type(values["forward_time"]) is float


@pytest.mark.skipif(not hasattr(torch.nn.utils.clip_grad, torch_clips.HELPER), reason="torch before 2.6")
def test_clipping_does_not_hide_the_norm() -> None:
    """What is reported is the norm before clipping, which clipping itself computes."""
    model, inputs, targets = model_and_data()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    from torch.nn.utils import clip_grad_norm_

    with capture() as captured:
        watched = emitter.watch(model, optimizer)
        torch.nn.functional.mse_loss(model(inputs), targets).backward()
        norm = clip_grad_norm_(model.parameters(), 1e-3)
        optimizer.step()
        emitter.step(0)
        (log,) = captured.named("train.step")
        watched.remove()

    assert log.attributes["grad_norm"] == norm.item() > 1e-3
    assert torch.nn.utils.clip_grad._get_total_norm.__module__ == "torch.nn.utils.clip_grad"


def test_other_models_are_not_mixed_in() -> None:
    """Clipping and optimizers of a model that is not watched leave no trace."""
    model, _, _ = model_and_data()
    other, inputs, targets = model_and_data()
    with capture() as captured:
        emitter.watch(model)
        optimizer = torch.optim.SGD(other.parameters(), lr=0.1)
        torch.nn.functional.mse_loss(other(inputs), targets).backward()
        torch.nn.utils.clip_grad_norm_(other.parameters(), 1.0)
        optimizer.step()
        emitter.step(0)
        (log,) = captured.named("train.step")

    assert not {"grad_norm", "forward_time", "backward_time", "optimizer_time"} & set(log.attributes)


def test_what_the_trainer_logs_itself_wins() -> None:
    """Its own grad_norm stays."""
    with capture() as captured:
        model, inputs, targets = model_and_data()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        emitter.watch(model, optimizer)
        torch.nn.functional.mse_loss(model(inputs), targets).backward()
        optimizer.step()
        emitter.step(0, grad_norm=42.0)
        (log,) = captured.named("train.step")

    assert log.attributes["grad_norm"] == 42.0


def test_scaled_gradients_are_unscaled() -> None:
    """Under GradScaler the norm is that of the true gradients, whatever the scale."""
    norms = []
    for scale in (1.0, 1024.0):
        model, inputs, targets = model_and_data()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        scaler = torch.amp.GradScaler("cpu", init_scale=scale)
        with capture() as captured:
            emitter.watch(model, optimizer)
            scaler.scale(torch.nn.functional.mse_loss(model(inputs), targets)).backward()
            scaler.step(optimizer)
            scaler.update()
            emitter.step(0)
            norms.append(captured.named("train.step")[0].attributes["grad_norm"])

    assert norms[0] == pytest.approx(norms[1], rel=1e-5)


def test_several_optimizers_count_together() -> None:
    """One norm over the gradients of all that were given."""
    model, inputs, targets = model_and_data()
    optimizers = [torch.optim.SGD(part.parameters(), lr=0.1) for part in (model[0], model[3])]
    with capture() as captured:
        emitter.watch(model, optimizers)
        torch.nn.functional.mse_loss(model(inputs), targets).backward()
        expected = torch.linalg.vector_norm(torch.cat([one.grad.flatten() for one in model.parameters()]))
        for optimizer in optimizers:
            optimizer.step()
        emitter.step(0)
        (log,) = captured.named("train.step")

    assert log.attributes["grad_norm"] == pytest.approx(expected.item(), rel=1e-6)


def test_sparse_gradients_have_no_norm_here() -> None:
    """What cannot be computed cheaply is left out, and the rest goes on."""
    table = torch.nn.Embedding(10, 4, sparse=True)
    optimizer = torch.optim.SGD(table.parameters(), lr=0.1)
    with capture() as captured:
        emitter.watch(table, optimizer)
        table(torch.tensor([1, 2])).sum().backward()
        optimizer.step()
        emitter.step(0)
        (log,) = captured.named("train.step")

    assert "grad_norm" not in log.attributes
    assert "backward_time" in log.attributes


def test_parts_of_a_step_add_up() -> None:
    """Over accumulated batches; together they are no more than the step; evaluation does not count."""
    model, inputs, targets = model_and_data()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with capture() as captured:
        emitter.watch(model, optimizer)
        emitter.step(0)
        for _ in range(3):
            torch.nn.functional.mse_loss(model(inputs), targets).backward()
        with torch.no_grad():
            model(inputs)
        optimizer.step()
        emitter.step(1)
        with torch.no_grad():
            model(inputs)
        emitter.step(2)
        _, second, third = captured.named("train.step")

    parts = [float(second.attributes[name]) for name in ("forward_time", "backward_time", "optimizer_time")]
    assert all(part > 0 for part in parts)
    assert sum(parts) <= float(second.attributes["step_time"])
    assert not {"forward_time", "backward_time", "optimizer_time"} & set(third.attributes)


def test_checkpointed_activations_are_backward() -> None:
    """A model that runs again inside the backward pass is not counted as forward."""
    model, inputs, targets = model_and_data()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with capture() as captured:
        emitter.watch(model, optimizer)
        for _ in range(2):
            output = torch.utils.checkpoint.checkpoint(model, inputs, use_reentrant=False)
            torch.nn.functional.mse_loss(output, targets).backward()
            optimizer.step()
            emitter.step()
        _, second = captured.named("train.step")

    assert float(second.attributes["backward_time"]) > 0


def test_a_backward_pass_that_fails_does_no_harm() -> None:
    """The exception is the trainer's own; the next step is measured again."""
    model, inputs, targets = model_and_data()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def fail(gradient: torch.Tensor) -> None:
        raise ValueError("mine")

    with capture() as captured:
        emitter.watch(model, optimizer)
        handle = model[0].weight.register_hook(fail)
        with pytest.raises(ValueError, match="mine"):
            torch.nn.functional.mse_loss(model(inputs), targets).backward()
        handle.remove()
        for step in range(2):
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(model(inputs), targets).backward()
            optimizer.step()
            emitter.step(step)
        _, second = captured.named("train.step")

    assert "backward_time" in second.attributes


def test_copies_and_pickles_know_nothing_of_us() -> None:
    """A copy (an average of weights, say) is not measured; a file of the model loads without the emitter."""
    model, inputs, _ = model_and_data()
    with capture() as captured:
        emitter.watch(model)
        twin, blob = copy.deepcopy(model), pickle.dumps(model)
        twin(inputs), pickle.loads(blob)(inputs)
        emitter.step(0)
        (log,) = captured.named("train.step")

    assert b"emitter" not in blob
    assert "forward_time" not in log.attributes
    assert list(model.state_dict()) == list(twin.state_dict())


def test_removing_leaves_nothing() -> None:
    """No hook on the model, none on optimizers; a model that is dropped takes its watch along."""
    hooks = _global_optimizer_pre_hooks
    before = len(hooks)
    model, _, _ = model_and_data()
    watched = emitter.watch(model)
    assert len(hooks) == before + 1
    watched.remove()
    assert (len(hooks), len(model._forward_hooks), len(model._forward_pre_hooks)) == (before, 0, 0)

    emitter.watch(model)
    emitter.watch(model)
    assert (len(hooks), len(model._forward_hooks)) == (before + 1, 1)
    gone = weakref.ref(model[0].weight)
    del model, watched
    gc.collect()
    assert gone() is None
    assert len(hooks) == before


def test_without_a_session_it_measures_nothing() -> None:
    """Before `init` the hooks return at once; after it they measure."""
    model, inputs, targets = model_and_data()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watched = emitter.watch(model, optimizer)
    torch.nn.functional.mse_loss(model(inputs), targets).backward()
    optimizer.step()
    with capture() as captured:
        torch.nn.functional.mse_loss(model(inputs), targets).backward()
        optimizer.step()
        emitter.step(0)
        (log,) = captured.named("train.step")
    watched.remove()

    assert "forward_time" in log.attributes


@pytest.mark.parametrize(
    ("model", "optimizer", "message"),
    [
        ("gpt", None, "watch: expected `model` to be a torch.nn.Module, got str"),
        (torch.nn.Linear(1, 1), "adam", "watch: expected `optimizer` to be a torch.optim.Optimizer, got str"),
    ],
)
def test_a_bad_argument_is_named(model: Any, optimizer: Any, message: str) -> None:
    """What was expected, and what came."""
    with pytest.raises(TypeError, match=re.escape(message)):
        emitter.watch(model, optimizer)
