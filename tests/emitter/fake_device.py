"""A device with streams that does its work when a test says so: real torch on the CPU underneath.

Stands in for torch.cuda: what is enqueued on a stream runs, in order, when the test lets the stream run. A
tensor of this device is a real CPU tensor that says it is elsewhere, and fails if anybody waits for it.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import torch


class Stream:
    """Work that was enqueued, and what it waits for."""

    def __init__(self, device: Any = None) -> None:
        self.work: deque[Callable[[], None]] = deque()
        self.waits_for: list[Stream] = []

    def wait_stream(self, other: Stream) -> None:
        """What follows here comes after what is enqueued there so far."""
        self.waits_for.append(other)

    def run(self) -> None:
        """Do everything, first what it waits for."""
        for other in self.waits_for:
            other.run()
        while self.work:
            self.work.popleft()()


class Device:
    """Equal to nothing but itself, like a real one in a dict."""

    type = "cuda"

    def __init__(self) -> None:
        self.main = Stream()
        self.side: Stream | None = None
        self.capturing = False
        self.synchronised = 0
        self.failing = False
        self.current = self.main


class Tensor:
    """What _tensors.py asks of a tensor. ``data`` is what is in the device's memory now."""

    layout = torch.strided

    def __init__(self, device: Device, data: torch.Tensor) -> None:
        self.device, self.data = device, data

    def numel(self) -> int:
        return int(self.data.numel())

    def is_complex(self) -> bool:
        return bool(self.data.is_complex())

    def is_floating_point(self) -> bool:
        return bool(self.data.is_floating_point())

    def item(self) -> Any:
        """What must never happen in the training thread."""
        self.device.synchronised += 1
        return self.data.item()

    def detach(self) -> Tensor:
        return self

    def reshape(self, shape: tuple[int, ...]) -> Tensor:
        return self

    def to(self, kind: Any, *, copy: bool) -> Tensor:
        """A copy, made when the device's stream gets there."""
        if self.device.failing:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        assert copy
        made = Tensor(self.device, torch.zeros((), dtype=kind))

        def run() -> None:
            made.data = self.data.detach().reshape(()).to(kind)

        self.device.current.work.append(run)
        return made

    def set(self, number: float) -> None:
        """What the loop does to its own tensor: in place, on its own stream."""
        self.device.current.work.append(lambda: self.data.fill_(number) and None)


class _Slot:
    """One pinned double."""

    def __init__(self, device: Device) -> None:
        self._device, self._data = device, torch.zeros((), dtype=torch.float64)

    def item(self) -> float:
        return float(self._data.item())

    def zero_(self) -> None:
        self._data.zero_()

    def copy_(self, source: Tensor, *, non_blocking: bool) -> None:
        assert non_blocking
        assert self._device.current is not self._device.main
        self._device.current.work.append(lambda: self._data.copy_(source.data) and None)


class _Page:
    def __init__(self, device: Device, size: int) -> None:
        self._slots = [_Slot(device) for _ in range(size)]

    def unbind(self) -> list[_Slot]:
        return self._slots


_Tensor: TypeAlias = Tensor
_Stream: TypeAlias = Stream


class Torch:
    """The part of ``torch`` and ``torch.cuda`` that _tensors.py uses, for one device."""

    float64, float32, strided = torch.float64, torch.float32, torch.strided
    Tensor = Tensor
    inference_mode = torch.inference_mode

    class nn:  # noqa: N801 - torch's own spelling
        """Parameters."""

        Parameter = Tensor

    def __init__(self, device: Device) -> None:
        self.device = device
        self.cuda = self

    def zeros(self, size: int, *, pin_memory: bool, **more: Any) -> _Page:
        assert pin_memory
        return _Page(self.device, size)

    def ones(self, size: tuple[int, ...], *, dtype: Any, device: Device) -> _Tensor:
        made = Tensor(device, torch.zeros(size, dtype=dtype))
        made.set(1.0)
        return made

    def Stream(self, device: Device) -> _Stream:  # noqa: N802 - torch's own spelling
        device.side = Stream()
        return device.side

    def current_stream(self, device: Device) -> _Stream:
        return device.current

    def is_current_stream_capturing(self) -> bool:
        return self.device.capturing

    @contextlib.contextmanager
    def stream(self, stream: _Stream) -> Iterator[None]:
        before, self.device.current = self.device.current, stream
        try:
            yield
        finally:
            self.device.current = before
