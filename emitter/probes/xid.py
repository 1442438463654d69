"""Xid errors as the driver reports them, through an NVML event set. Its calls wait: a thread for it alone."""

from __future__ import annotations

import contextlib
import ctypes
from collections import deque
from typing import Any, Final, NamedTuple

import pynvml

from emitter._guard import logger
from emitter._records import ERROR
from emitter.probes.gpu import Gpu, GpuProbe
from emitter.probes.logs import Emit
from emitter.probes.xid_echo import XidEchoes
from emitter.vocabulary.gpu_metrics import HW_ID, XID

WAIT_MS: Final = 1000
OPENINGS: Final = 16
"""Times that the driver may end the waiting; it does so when a GPU is lost."""


class _News(NamedTuple):
    """An Xid error of a GPU, to be told at ``due`` unless the kernel log does."""

    uuid: str
    pci: str
    xid: int
    due: float


class XidProbe:
    """``turn()`` waits for one event for at most a second and passes it on as a ``train.log``.

    The body has the form of the kernel's line, so that the same rules read both; what the kernel's own line
    says is not said again.
    """

    def __init__(self, gpus: GpuProbe, log: Emit, echoes: XidEchoes) -> None:
        self._gpus, self._log, self._echoes = gpus, log, echoes
        self._waiting: deque[_News] = deque()
        self._set: Any = None
        self._known: dict[int, tuple[str, str]] = {}
        self._openings = 0
        self.off = False

    def turn(self) -> None:
        """Wait for the next event; does nothing once the driver said that it has none."""
        self._tell(all_of_them=False)
        if self.off:
            return
        if self._set is None:
            self._open()
            return
        try:
            event = pynvml.nvmlEventSetWait_v2(self._set, WAIT_MS)
        except pynvml.NVMLError_Timeout:
            return
        except pynvml.NVMLError as error:
            # A lost GPU ends the waiting of all: wait for those that still answer.
            logger.debug("waiting for Xid events ended: %s", error)
            self._release()
            return
        if event.eventType == pynvml.nvmlEventTypeXidCriticalError:
            uuid, pci = self._known.get(_address(event.device), ("unknown", "unknown"))
            self._waiting.append(_News(uuid, pci, int(event.eventData), self._echoes.until()))
            self._tell(all_of_them=False)

    def flush(self) -> None:
        """Tell what waits; for the trainer's thread, at the end."""
        self._tell(all_of_them=True)

    def close(self) -> None:
        """Release the event set."""
        self.off = True
        self._release()

    def _release(self) -> None:
        opened, self._set = self._set, None
        if opened is not None:
            pynvml.nvmlEventSetFree(opened)
            pynvml.nvmlShutdown()

    def _open(self) -> None:
        whole = [gpu for gpu in self._gpus.found() if gpu.parent is None]
        self._openings += 1
        if not whole or self._openings > OPENINGS:
            self.off = True
            return
        self._known = {}
        pynvml.nvmlInit()  # counted by NVML: the sampling thread has its own
        self._set = pynvml.nvmlEventSetCreate()
        for gpu in whole:
            self._register(gpu)
        if not self._known:
            self.close()

    def _register(self, gpu: Gpu) -> None:
        try:
            pynvml.nvmlDeviceRegisterEvents(gpu.handle, pynvml.nvmlEventTypeXidCriticalError, self._set)
            self._known[_address(gpu.handle)] = (gpu.uuid, gpu.pci())
        except pynvml.NVMLError as error:
            logger.debug("no Xid events of GPU %s: %s", gpu.uuid, error)

    def _tell(self, *, all_of_them: bool) -> None:
        with contextlib.suppress(IndexError):  # the other thread was faster
            while all_of_them or self._echoes.due(self._waiting[0].due):
                self._pass_on(self._waiting.popleft())

    def _pass_on(self, news: _News) -> None:
        uuid, pci, xid, _ = news
        if not self._echoes.told(pci, xid):
            self._log(f"Xid (PCI:{pci}): {xid}, reported by NVML for {uuid}", ERROR, {HW_ID: uuid, XID: xid})


def _address(handle: Any) -> int:
    return int(ctypes.cast(handle, ctypes.c_void_p).value or 0)
