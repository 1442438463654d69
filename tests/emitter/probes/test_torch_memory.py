"""torch's CUDA memory and its end. A small `torch.cuda` stands in where a GPU is needed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from emitter.probes import torch_memory
from emitter.probes.torch_clock import PENDING_LIMIT, CudaClock
from emitter.probes.torch_oom import OomProbe, attributes_of
from emitter.testing import capture
from emitter.vocabulary.metrics import BY_NAME
from tests.emitter.probes.rule_lines import matching

GIB = 2**30


class Cuda:
    """What the probes use of `torch.cuda`, for two GPUs of which the first is in use."""

    def __init__(self) -> None:
        self.started = True
        self.capturing = False
        self.memory = SimpleNamespace(_dump_snapshot=lambda path: Path(path).write_bytes(b"snapshot"))

    def is_initialized(self) -> bool:
        return self.started

    def device_count(self) -> int:
        return 2

    def memory_stats(self, index: int) -> dict[str, int]:
        # The keys of torch 2.13's torch.cuda.memory_stats that are read.
        if index:
            return {"reserved_bytes.all.peak": 0}
        return {
            "allocated_bytes.all.current": 3 * GIB, "allocated_bytes.all.peak": 5 * GIB,
            "reserved_bytes.all.current": 6 * GIB, "reserved_bytes.all.peak": 7 * GIB,
            "inactive_split_bytes.all.current": GIB, "num_alloc_retries": 2, "num_ooms": 1,
        }  # fmt: skip

    def get_device_properties(self, index: int) -> Any:
        return SimpleNamespace(uuid=f"8932f937-{index}")

    def memory_summary(self, index: int, abbreviated: bool) -> str:
        return f"| PyTorch CUDA memory summary, device ID {index} |\n| CUDA OOMs: 1 | cudaMalloc retries: 2 |"

    def is_current_stream_capturing(self) -> bool:
        return self.capturing


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Cuda:
    """A torch whose CUDA runs; `observers` keeps who wants to hear of failed allocations."""
    found = Cuda()
    fake = SimpleNamespace(
        cuda=found, _C=SimpleNamespace(_cuda_attach_out_of_memory_observer=OBSERVERS.append)
    )
    OBSERVERS.clear()
    monkeypatch.setitem(sys.modules, "torch", fake)
    return found


OBSERVERS: list[Callable[[int, int, int, int], None]] = []


def test_nothing_on_the_cpu() -> None:
    """Real torch without a GPU: no row, and CUDA is not started by asking."""
    assert torch_memory.sample() == []
    assert not torch.cuda.is_initialized()


def test_memory_of_the_gpus_in_use(cuda: Cuda) -> None:
    """The known names, with torch's device and the UUID that NVML gives the same GPU."""
    (row,) = torch_memory.sample()

    assert row.pop("torch.device") == "cuda:0"
    assert row.pop("hw.id") == "GPU-8932f937-0"
    assert set(row) == {name for name in BY_NAME if name.startswith("torch.")}
    assert row["torch.cuda.memory.allocated.peak"] == 5 * GIB


def test_cuda_that_the_trainer_has_not_started_is_left_alone(cuda: Cuda) -> None:
    """No sample, no observer, until it has."""
    cuda.started = False
    probe = OomProbe(lambda body, severity, attributes: None)
    probe.start()
    assert (torch_memory.sample(), OBSERVERS) == ([], [])

    cuda.started = True
    probe.start()
    probe.start()
    assert len(OBSERVERS) == 1


def test_a_failed_allocation_is_described(cuda: Cuda, tmp_path: Path) -> None:
    """Numbers, torch's own summary and a snapshot. It may be caught, so no rule takes it for the end."""
    with capture(oom_dump=str(tmp_path / "dumps")) as captured:
        OBSERVERS[0](0, 2 * GIB, 80 * GIB, GIB // 2)
        (log,) = captured.named("train.log")
    OBSERVERS[0](0, GIB, GIB, GIB)

    assert (log.body or "").startswith("GPU 0 has no memory for 2.00 GiB more (0.50 GiB of 80.00 GiB free); ")
    assert "PyTorch CUDA memory summary" in (log.body or "")
    assert log.severity == 13
    assert log.attributes["torch.cuda.memory.wanted"] == 2 * GIB
    assert log.attributes["torch.cuda.memory.reserved"] == 6 * GIB
    assert Path(str(log.attributes["torch.cuda.memory.snapshot"])).read_bytes() == b"snapshot"
    assert matching(log.body or "", "memory/cuda-oom", "memory/host-oom") == []
    assert len(captured.named("train.log")) == 1


def test_the_end_by_out_of_memory_says_what_was_held(cuda: Cuda) -> None:
    """An exception that nobody caught: the line is one for the rule, with the memory in its attributes."""
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 79.10 GiB")
    try:
        raise RuntimeError("in a layer") from error
    except RuntimeError as outer:
        with capture() as captured:
            captured.session.crashed(outer)
            (log,) = captured.named("train.log")

    assert log.attributes["torch.cuda.memory.allocated/cuda:0"] == 3 * GIB
    assert matching(log.body or "", "memory/cuda-oom") == ["cuda-oom"]
    assert attributes_of(RuntimeError("of something else")) == {}


def test_torch_memory_off_is_not_imported() -> None:
    """A session without it has no observer and no sampler."""
    with capture(torch_memory=False, data_wait=False) as captured:
        assert captured.session.probes == []


class Event:
    """A CUDA event: done when the GPU has come so far."""

    made = 0

    def __init__(self, gpu: Gpu) -> None:
        self.gpu, self.at_ms = gpu, 0.0
        Event.made += 1

    def record(self) -> None:
        self.gpu.queued_ms += 2.0
        self.at_ms = self.gpu.queued_ms

    def query(self) -> bool:
        return self.gpu.done_ms >= self.at_ms

    def elapsed_time(self, other: Event) -> float:
        return other.at_ms - self.at_ms


class Gpu(Cuda):
    """A GPU that works behind what is queued."""

    def __init__(self) -> None:
        super().__init__()
        self.queued_ms = self.done_ms = 0.0

    def Event(self, enable_timing: bool) -> Event:  # noqa: N802 - torch's name
        assert enable_timing
        return Event(self)


def test_events_are_read_when_they_are_done() -> None:
    """Nothing waits for the GPU: what it has not reached is read later; events are used again."""
    gpu, found = Gpu(), []
    clock = CudaClock(lambda name, seconds: found.append((name, seconds)), gpu)
    for name in ("forward_time", "backward_time"):
        clock.between(name, clock.mark())
    clock.read()
    assert found == []

    gpu.done_ms = 4.0
    clock.read()
    assert found == [("forward_time", 0.002)]
    before = Event.made
    clock.between("forward_time", clock.mark())
    assert Event.made == before


def test_a_gpu_that_hangs_costs_a_bounded_number_of_events() -> None:
    """Beyond the limit nothing more is measured; inside the capture of a graph nothing at all."""
    gpu, found = Gpu(), []
    clock = CudaClock(lambda name, seconds: found.append(name), gpu)
    before = Event.made
    for _ in range(10 * PENDING_LIMIT):
        clock.between("forward_time", clock.mark())
    assert Event.made - before <= 2 * PENDING_LIMIT

    gpu.capturing, gpu.done_ms = True, 1e9
    clock.read()
    assert (clock.mark(), found) == (None, [])
    clock.between("forward_time", None)

    gpu.capturing = False
    clock.read()
    assert len(found) == PENDING_LIMIT
