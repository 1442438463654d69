"""Values on a device: copied without waiting, read when they have come, given up when they do not."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

import emitter
from emitter import _tensors
from emitter._tensors import SLOTS
from emitter.testing import Captured, ManualClock
from tests.emitter.fake_device import Device, Tensor, Torch
from tests.fixtures import wait_for


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch, captured: Captured) -> Iterator[Device]:
    """A device whose streams run when the test says so; nobody may have waited for it,
    or have left another stream current.
    """
    made = Device()
    monkeypatch.setattr(_tensors, "_library", lambda: Torch(made))
    yield made
    assert made.synchronised == 0
    assert made.current is made.main
    _tensors._harbours.pop(made, None)


def on(device: Device, number: Any, **kind: Any) -> Tensor:
    return Tensor(device, torch.tensor(number, **kind))


def land(device: Device) -> None:
    assert device.side is not None
    device.side.run()


def steps(captured: Captured) -> list[dict[str, Any]]:
    return [dict(log.attributes) for log in captured.named("train.step")]


def test_value_is_read_when_its_copy_is_done(captured: Captured, device: Device) -> None:
    """step() returns at once; the record goes when the numbers are there, with its own time and number."""
    emitter.step(0, loss=on(device, 2.5), lr=0.1)
    assert steps(captured) == []
    land(device)

    (found,) = steps(captured)
    assert (found["loss"], found["lr"], found["train.step"], found["train.seq"]) == (2.5, 0.1, 0, 1)


@pytest.mark.parametrize(
    ("number", "kind", "expected"),
    [
        (2.5, torch.float32, 2.5),
        (2.5, torch.bfloat16, 2.5),
        (2.5, torch.float16, 2.5),
        (2.5, torch.float64, 2.5),
        (7, torch.int64, 7),
        (True, torch.bool, 1),
        ([2.5], torch.float32, 2.5),
        ([[2.5]], torch.float32, 2.5),
        (-math.inf, torch.float32, -math.inf),
    ],
)
def test_every_kind_of_number(
    captured: Captured, device: Device, number: Any, kind: torch.dtype, expected: float
) -> None:
    """Floats of any width as floats, integers and truth values as integers, one element in any shape."""
    emitter.step(0, value=on(device, number, dtype=kind))
    land(device)

    (found,) = steps(captured)
    assert (found["value"], type(found["value"])) == (expected, type(expected))


def test_tensor_that_is_overwritten_keeps_the_value_it_had(captured: Captured, device: Device) -> None:
    """The copy is taken in the order of the training's own stream, before what the loop does next."""
    running = on(device, 1.0)
    for step in range(3):
        emitter.step(step, running=running)
        running.set(step + 2.0)
    land(device)

    assert [found["running"] for found in steps(captured)] == [1.0, 2.0, 3.0]


def test_nothing_queues_behind_a_copy_that_does_not_come(captured: Captured, device: Device) -> None:
    """Later records go at once; after a second the first goes without its values, which are counted."""
    emitter.step(0, loss=on(device, 1.0), norm={"all": on(device, 1.0)}, lr=0.1)
    emitter.step(1, loss=2.0)
    emitter.event("mine", value=3)
    assert [found["train.step"] for found in steps(captured)] == [1]
    assert captured.named("mine")
    assert captured.session.queue.totals == {}

    assert isinstance(captured.session.clock, ManualClock)
    captured.session.clock.advance(1.1)
    found = steps(captured)[-1]
    assert (found["train.step"], found["lr"], "loss" in found) == (0, 0.1, False)
    assert captured.session.queue.totals == {"unread_value": 2}


def test_late_copy_is_not_mistaken_for_a_later_one(captured: Captured, device: Device) -> None:
    """What lands after it was given up on changes nothing; its memory is used again only then."""
    assert isinstance(captured.session.clock, ManualClock)
    emitter.step(0, loss=on(device, 1.0))
    captured.session.clock.advance(1.1)
    assert len(steps(captured)) == 1
    land(device)
    for step in range(1, 4):
        emitter.step(step, loss=on(device, 10.0 + step))
        land(device)

    assert [found.get("loss") for found in steps(captured)] == [None, 11.0, 12.0, 13.0]


def test_hung_device_costs_bounded_memory(captured: Captured, device: Device) -> None:
    """When no copy ends, pinned memory runs out and values are given up at once; every step still goes."""
    assert isinstance(captured.session.clock, ManualClock)
    for step in range(2 * SLOTS):
        emitter.step(step, loss=on(device, 1.0))
    assert len(captured.session.queue.waiting) == 2 * SLOTS
    captured.session.clock.advance(1.1)

    assert len(steps(captured)) == 2 * SLOTS
    assert captured.session.queue.totals == {"unread_value": 2 * SLOTS}
    assert device.side is not None
    assert len(device.side.work) <= SLOTS
    land(device)
    emitter.step(9999, loss=on(device, 5.0))
    land(device)
    assert steps(captured)[-1]["loss"] == 5.0


def test_graph_capture_is_left_alone(captured: Captured, device: Device) -> None:
    """Nothing is enqueued while a graph is captured; the record goes at once, its device values counted."""
    emitter.step(0, loss=on(device, 1.0))
    land(device)
    device.capturing = True
    emitter.step(1, loss=on(device, 2.0), lr=0.1)
    assert not device.main.work
    device.capturing = False

    found = steps(captured)[-1]
    assert (found["train.step"], found["lr"], "loss" in found) == (1, 0.1, False)
    assert captured.session.queue.totals == {"unread_value": 1}


def test_error_of_the_device_is_not_raised_into_the_loop(captured: Captured, device: Device) -> None:
    """A sticky CUDA error comes out of any call; ours costs the value."""
    device.failing = True
    emitter.step(0, loss=on(device, 1.0), lr=0.1)

    assert steps(captured)[0]["lr"] == 0.1
    assert captured.session.queue.totals == {"unread_value": 1}


@pytest.mark.parametrize("make", [
    lambda device: Tensor(device, torch.ones(3)),
    lambda device: Tensor(device, torch.tensor(1 + 2j)),
    lambda device: Tensor(device, torch.empty(0)),
])  # fmt: skip
def test_no_number_is_not_copied(
    captured: Captured, device: Device, make: Callable[[Device], Tensor]
) -> None:
    """More than one element, none, or a complex one: a bad value, and nothing is enqueued."""
    emitter.step(0, value=make(device))

    assert "value" not in steps(captured)[0]
    assert captured.session.queue.totals == {"bad_value": 1}
    assert not device.main.work


def test_nan_on_the_device_is_urgent(captured: Captured, device: Device) -> None:
    """When the copy shows a NaN, the sender is woken."""
    emitter.step(0, loss=on(device, math.nan))
    wake = captured.session.queue.wake
    wake.clear()
    captured.session.queue.waiting.settle(captured.session.clock.monotonic_ns())
    assert not wake.is_set()
    land(device)
    captured.session.queue.waiting.settle(captured.session.clock.monotonic_ns())

    assert wake.is_set()


def test_other_calls_take_device_values_too(captured: Captured, device: Device) -> None:
    """eval, event and log wait for them in the same way."""
    emitter.eval(3, score=on(device, 0.5))
    emitter.event("mine", value=on(device, 7))
    emitter.log("line", value=on(device, 1.5))
    land(device)

    assert captured.named("train.eval")[0].attributes["score"] == 0.5
    assert captured.named("mine")[0].attributes["value"] == 7
    assert captured.named("train.log")[0].attributes["value"] == 1.5


def test_what_is_on_its_way_at_the_end_is_waited_for(captured: Captured, device: Device) -> None:
    """The last turn gives copies a second."""
    emitter.step(0, loss=on(device, 2.5))
    threading.Timer(0.1, land, [device]).start()
    captured.session.sender._last_turn()

    assert steps(captured)[0]["loss"] == 2.5


class _Elsewhere:
    """An array of another library, on a device of its own, which can only be read by waiting."""

    device = "gpu:0"

    def __init__(self, number: Any) -> None:
        self.number = number
        self.free = threading.Event()
        self.thread: str | None = None

    def item(self) -> Any:
        self.thread = threading.current_thread().name
        self.free.wait(30)
        if isinstance(self.number, Exception):
            raise self.number
        return self.number


def test_arrays_of_other_libraries_are_read_in_the_background(captured: Captured) -> None:
    """Never in the thread that logs them; one that blocks delays nobody and is counted."""
    assert isinstance(captured.session.clock, ManualClock)
    quick, broken, stuck = _Elsewhere(2.5), _Elsewhere(RuntimeError("gone")), _Elsewhere(1.0)
    quick.free.set()
    broken.free.set()
    emitter.step(0, value=quick)
    emitter.step(1, value=broken)
    emitter.step(2, value=stuck)
    emitter.step(3, value=1.0)
    wait_for(lambda: len(steps(captured)) == 3, what="the readable ones")
    captured.session.clock.advance(1.1)

    found = {int(step["train.step"]): step.get("value") for step in steps(captured)}
    assert found == {0: 2.5, 1: None, 2: None, 3: 1.0}
    assert captured.session.queue.totals == {"unread_value": 2}
    assert {quick.thread, stuck.thread} == {"trainwarden-values"}
    stuck.free.set()


class _Annotated(torch.Tensor):  # type: ignore[misc]
    """A subclass as libraries make them; its own code must not run for a metric."""

    @classmethod
    def __torch_function__(cls, *call: Any, **more: Any) -> Any:
        raise AssertionError("the emitter ran a subclass's code")


class _Lazy(torch.Tensor):  # type: ignore[misc]
    """A subclass that computes when it is read."""

    @staticmethod
    def __new__(cls: type[_Lazy]) -> _Lazy:
        made: _Lazy = torch.Tensor._make_wrapper_subclass(cls, ())
        return made

    @classmethod
    def __torch_dispatch__(cls, *call: Any, **more: Any) -> Any:
        raise AssertionError("the emitter ran a subclass's code")


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: torch.tensor(2.5, requires_grad=True), 2.5),
        (lambda: torch.nn.Parameter(torch.tensor([2.5])), 2.5),
        (lambda: (torch.tensor(1.25, requires_grad=True) * 2), 2.5),
        (lambda: torch.tensor(2.5, dtype=torch.bfloat16), 2.5),
        (lambda: torch.tensor(2.5, dtype=torch.float16), 2.5),
        (lambda: torch.tensor(2**62), 2**62),
        (lambda: torch.tensor(True), 1),
        (lambda: torch.tensor([[[7]]], dtype=torch.uint8), 7),
        (lambda: torch.tensor(2.5).as_subclass(_Annotated), 2.5),
        (_Lazy, None),
        (lambda: torch.empty((), device="meta"), None),
        (lambda: torch.ones(3), None),
        (lambda: torch.empty(0), None),
        (lambda: torch.tensor([2.5]).to_sparse(), None),
        (lambda: torch.tensor(1j), None),
        # A terabyte: to read it would end the process.
        (lambda: torch.empty(1).expand(2**38), None),
    ],
)  # fmt: skip
def test_real_tensors_on_the_cpu(captured: Captured, make: Callable[[], Any], expected: Any) -> None:
    """Real torch: one dense element is a number, all else is one counted bad value; no graph is kept."""
    emitter.step(0, value=make(), good=1.0)

    (found,) = steps(captured)
    assert (found.get("value"), found["good"]) == (expected, 1.0)
    assert captured.session.queue.totals == ({} if expected is not None else {"bad_value": 1})


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_modes_of_the_trainer_do_not_matter(captured: Captured, mode: Any) -> None:
    """Tensors are read in inference mode as outside of it."""
    with mode():
        emitter.step(0, value=torch.ones(1) * 2)

    assert steps(captured)[0]["value"] == 2.0


@pytest.mark.slow
def test_distributed_tensors_need_no_other_rank(captured: Captured, tmp_path: Any) -> None:
    """A replicated DTensor is a number, a sharded or partial one a bad value: to read it is a collective."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import DTensor, Partial, Replicate, Shard

    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1
    )
    try:
        mesh = init_device_mesh("cpu", (1,))
        local = torch.tensor([2.5], requires_grad=True)
        emitter.step(
            0,
            replicated=DTensor.from_local(local, mesh, [Replicate()]),
            partial=DTensor.from_local(local, mesh, [Partial()]),
            sharded=DTensor.from_local(local, mesh, [Shard(0)]),
        )
    finally:
        torch.distributed.destroy_process_group()

    (found,) = steps(captured)
    assert (found["replicated"], "partial" in found, "sharded" in found) == (2.5, False, False)
    assert captured.session.queue.totals == {"bad_value": 2}
