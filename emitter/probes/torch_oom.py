"""CUDA out of memory: what torch's allocator held at that moment, as a ``train.log`` and, if wanted, a file.

torch calls an observer when an allocation has failed for good, before it raises. The trainer may catch that
and go on with less, so the line is a warning that says so; an exception that nobody catches is told by the
hook on exceptions, with the same numbers in its attributes.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, Final

from emitter._guard import guard
from emitter._records import WARNING
from emitter.probes import torch_memory
from emitter.probes.logs import Emit
from emitter.vocabulary.gpu_metrics import HW_ID, TORCH_DEVICE

ATTACH: Final = "_cuda_attach_out_of_memory_observer"
ERROR_NAME: Final = "OutOfMemoryError"
CHAIN: Final = 16


class OomProbe:
    """Attaches as soon as CUDA runs in this process. torch has no way to detach: ``close`` makes it mute."""

    def __init__(self, log: Emit, dump_to: str | None = None, rank: int = 0) -> None:
        self._log: Emit | None = log
        self._dump_to, self._rank = dump_to, rank
        self._attached = False

    def start(self) -> None:
        """Attach if CUDA runs already."""
        self.attach()

    def attach(self) -> None:
        """Attach once; before CUDA has been started by the trainer, do nothing."""
        if self._attached or torch_memory.cuda() is None:
            return
        attach = getattr(sys.modules["torch"]._C, ATTACH, None)
        self._attached = True
        if attach is not None:
            attach(self._observe)

    def close(self) -> None:
        """Say nothing any more."""
        self._log = None

    def _observe(self, device: int, wanted: int, in_all: int, free: int) -> None:
        """Called by the allocator, in the thread that wants the memory. Must not raise."""
        log = self._log
        if log is None:
            return
        with guard:
            attributes = at_failure(device) | {"torch.cuda.memory.wanted": wanted}
            body = (
                f"GPU {device} has no memory for {_gib(wanted)} more ({_gib(free)} of {_gib(in_all)} free); "
                f"unless it is caught, the process ends here\n{_summary(device)}"
            )
            file = self._dump()
            if file is not None:
                attributes["torch.cuda.memory.snapshot"] = file
            log(body, WARNING, attributes)

    def _dump(self) -> str | None:
        """A snapshot for torch's memory viewer, where asked for; the file's path."""
        if self._dump_to is None:
            return None
        folder = Path(self._dump_to)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"oom-rank{self._rank}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}.pickle"
        sys.modules["torch"].cuda.memory._dump_snapshot(str(path))
        return str(path)


def attributes_of(error: BaseException) -> dict[str, Any]:
    """Memory of the GPUs in use, where an exception or its cause is torch's out of memory; else nothing."""
    if not any(_is_oom(one) for one in _chain(error)):
        return {}
    found: dict[str, Any] = {}
    for row in torch_memory.sample():
        device = row.pop(TORCH_DEVICE)
        found.update({f"{name}/{device}": value for name, value in row.items() if name != HW_ID})
    return found


def at_failure(device: int) -> dict[str, Any]:
    """The allocator's numbers of one GPU."""
    running = torch_memory.cuda()
    return {} if running is None else torch_memory.of_device(running, device)


def _summary(device: int) -> str:
    running = torch_memory.cuda()
    return "" if running is None else str(running.memory_summary(device, abbreviated=True))


def _is_oom(error: BaseException) -> bool:
    return any(base.__name__ == ERROR_NAME for base in type(error).__mro__)


def _chain(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and len(chain) < CHAIN:
        chain.append(at)
        at = at.__cause__ or at.__context__
    return chain


def _gib(count: int) -> str:
    return f"{count / 2**30:.2f} GiB"
