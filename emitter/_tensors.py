"""Tensors and arrays of any device, read without making the training thread wait. Imports no torch.

On a device with streams the training's own stream copies a tensor into a double, so that the loop may change
it afterwards, and a side stream copies that into pinned memory. The event that tells that the values are
there is a flag in the same memory, written by the side stream behind them. A flag, not ``Event.query()``: to
ask the driver from another thread breaks a CUDA graph capture that is under way, and can hang with it.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from typing import Any, Final, Protocol

from emitter import _quiet

NOT_YET: Final = object()
MISSING: Final = object()
"""The value could not be read, or did not come in time."""

SLOTS: Final = 1024
"""Doubles of pinned memory for each device; when all are in flight, values are MISSING."""


class Pending:
    """Stands for a value that is not in host memory: ``value`` is NOT_YET, then the number or MISSING."""

    __slots__ = ("place", "source", "value", "whole")

    def __init__(self, source: Any, place: Any = None, *, whole: bool = False) -> None:
        self.source, self.place, self.whole = source, place, whole
        self.value: Any = NOT_YET

    def came(self, value: Any) -> None:
        """Take the number in, and let go of what it was read from."""
        self.value = int(value) if self.whole and type(value) is float else value
        self.source = None


class Arrival(Protocol):
    """Values on their way."""

    def poll(self) -> bool:
        """Whether they have come; cheap, and no call to a driver."""
        ...


def take(value: Any) -> Any:
    """A number for a tensor in host memory, a Pending for one that is elsewhere, other values as they are.

    Raises ValueError for tensors that are no number, or that only other processes could complete.
    """
    torch = _library()
    kind = getattr(torch, "Tensor", None)
    if kind is not None and isinstance(value, kind):
        return _take_tensor(torch, value)
    device = getattr(value, "device", None)
    if device is None or getattr(device, "type", device) == "cpu":
        return value
    return Pending(value) if hasattr(value, "item") or hasattr(value, "__float__") else value


def start(pendings: list[Pending]) -> list[Arrival]:
    """Begin to copy. Never raises; what cannot be copied is MISSING at once."""
    arrivals: list[Arrival] = []
    places: dict[Any, list[Pending]] = {}
    for pending in pendings:
        places.setdefault(pending.place, []).append(pending)
    for place, group in places.items():
        try:
            arrivals.append(_reader.start(group) if place is None else _harbour(place).start(group))
        except Exception:  # noqa: BLE001 - a device's own errors come out of any call
            for pending in group:
                pending.came(MISSING)
    return arrivals


def _library() -> Any:
    """torch, where the trainer has imported it."""
    return sys.modules.get("torch")


def _take_tensor(torch: Any, value: Any) -> Any:
    if type(value) is torch.Tensor or type(value) is torch.nn.Parameter:
        return _take_plain(torch, value)
    with torch._C.DisableTorchFunctionSubclass():
        return _take_plain(torch, _unwrapped(torch, value))


def _unwrapped(torch: Any, value: Any) -> Any:
    """The plain tensor inside, where it is the whole value."""
    placements = getattr(value, "placements", None)
    if placements is not None:  # a DTensor: what is not replicated would need the other ranks
        if not all(placement.is_replicate() for placement in placements):
            raise ValueError("a DTensor of which this rank holds a part")
        with torch.no_grad():
            value = value.to_local()
    if type(value).__torch_dispatch__ is not torch.Tensor.__torch_dispatch__:
        raise ValueError("a tensor that computes when it is read")
    return value


def _take_plain(torch: Any, value: Any) -> Any:
    device = value.device
    if value.numel() != 1 or value.layout is not torch.strided or device.type == "meta":
        raise ValueError("not one number")
    if device.type == "cpu":
        return value.item()
    if value.is_complex():
        raise ValueError("a complex number")
    if device.type == "mps":
        return Pending(value)
    if not hasattr(_module(torch, device), "Stream"):
        raise ValueError("a device without streams")
    return Pending(value, device, whole=not value.is_floating_point())


def _module(torch: Any, device: Any) -> Any:
    """torch.cuda, torch.xpu, ..."""
    return getattr(torch, device.type, None)


class Harbour:
    """The side stream of one device and the pinned memory that it copies into."""

    def __init__(self, torch: Any, device: Any) -> None:
        self._torch, self._device, self._module = torch, device, _module(torch, device)
        self._kind = torch.float64 if device.type == "cuda" else torch.float32
        self._flights: deque[_Flight] = deque()
        # A tensor that is made in inference mode could not be written to outside of it.
        with torch.inference_mode(False):
            page = torch.zeros(SLOTS, dtype=self._kind, device="cpu", pin_memory=True)
            self._one = torch.ones((), dtype=self._kind, device=device)
            self._slots = list(page.unbind())
        self._free = deque(range(SLOTS))
        self._stream = self._module.Stream(device=device)

    def start(self, pendings: list[Pending]) -> Arrival:
        """Enqueue the copies, in the training thread. Raises what torch raises, and ValueError."""
        self._sweep()
        capturing = getattr(self._module, "is_current_stream_capturing", None)
        if capturing is not None and capturing():
            raise ValueError("a graph is captured: a copy would become part of it")
        if len(self._free) <= len(pendings):
            raise ValueError("too many copies are in flight")
        doubles = [pending.source.detach().to(self._kind, copy=True).reshape(()) for pending in pendings]
        flight = _Flight(self, pendings, doubles, [self._free.popleft() for _ in range(len(pendings) + 1)])
        # Until its flag is set, also when the next line fails half way, the slots are not used again.
        self._flights.append(flight)
        self._stream.wait_stream(self._module.current_stream(self._device))
        with self._module.stream(self._stream):
            for slot, double in zip(flight.slots, [*doubles, self._one], strict=True):
                self._slots[slot].copy_(double, non_blocking=True)
        return flight

    def landed(self, slots: list[int]) -> list[float] | None:
        """The values, when the flag behind them is set; then the slots are free again."""
        if self._slots[slots[-1]].item() != 1.0:
            return None
        values = [self._slots[slot].item() for slot in slots[:-1]]
        self._slots[slots[-1]].zero_()
        self._free.extend(slots)
        return values

    def _sweep(self) -> None:
        """Forget the flights that have landed; one that was given up on may still land."""
        for _ in range(len(self._flights)):
            flight = self._flights.popleft()
            if not flight.poll():
                self._flights.append(flight)
                return


class _Flight:
    """The copies of one record. Keeps the doubles alive: the side stream may still read them."""

    def __init__(
        self, harbour: Harbour, pendings: list[Pending], doubles: list[Any], slots: list[int]
    ) -> None:
        self._harbour, self._pendings, self._doubles, self.slots = harbour, pendings, doubles, slots
        self._lock = threading.Lock()
        self._landed = False

    def poll(self) -> bool:
        # Both the training thread and the sender ask; neither waits for the other.
        if self._landed or not self._lock.acquire(blocking=False):
            return self._landed
        try:
            values = None if self._landed else self._harbour.landed(self.slots)
            if values is not None:
                for pending, value in zip(self._pendings, values, strict=True):
                    if pending.value is NOT_YET:
                        pending.came(value)
                self._doubles.clear()
                self._landed = True
            return self._landed
        finally:
            self._lock.release()


class _Reader:
    """A thread that reads what can only be read by waiting: arrays of other libraries, Apple's devices."""

    def __init__(self) -> None:
        self._work: deque[list[Pending] | None] = deque()
        self._some = threading.Semaphore(0)
        self._thread: threading.Thread | None = None

    def start(self, pendings: list[Pending]) -> Arrival:
        """Hand over; ValueError when a device hangs and more than SLOTS records wait for it."""
        if len(self._work) >= SLOTS:
            raise ValueError("too many values wait to be read")
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="trainwarden-values", daemon=True)
            self._thread.start()
        self._work.append(pendings)
        self._some.release()
        return _Reads(pendings)

    def close(self) -> None:
        """Read what was handed over, and end."""
        if self._thread is not None:
            self._work.append(None)
            self._some.release()

    def _run(self) -> None:
        _quiet.ours()
        try:
            while self._some.acquire() and (work := self._work.popleft()) is not None:
                for pending in work:
                    if pending.value is NOT_YET:
                        pending.came(_read(pending.source))
        finally:
            _quiet.done()


class _Reads:
    def __init__(self, pendings: list[Pending]) -> None:
        self._pendings = pendings

    def poll(self) -> bool:
        return all(pending.value is not NOT_YET for pending in self._pendings)


def _read(source: Any) -> Any:
    try:
        value = source.item() if hasattr(source, "item") else float(source)
        return value if isinstance(value, (bool, int, float)) else MISSING
    except Exception:  # noqa: BLE001 - a value's own code may raise anything
        return MISSING


_reader = _Reader()
_harbours: dict[Any, Harbour] = {}


def _harbour(device: Any) -> Harbour:
    if device not in _harbours:
        _harbours[device] = Harbour(_library(), device)
    return _harbours[device]


def close() -> None:
    """The session ended: so does its thread. The next one begins with another."""
    global _reader
    before, _reader = _reader, _Reader()
    before.close()


def forget() -> None:
    """In a forked child: the thread has not come along. A device cannot be used there either."""
    global _reader
    _reader = _Reader()
