"""Xid errors as the driver reports them, through an NVML event set. Its calls wait: a thread for it alone."""

from __future__ import annotations

import ctypes
from typing import Any, Final

import pynvml

from emitter._guard import logger
from emitter._records import ERROR
from emitter.probes.gpu import Gpu, GpuProbe
from emitter.probes.logs import Emit
from emitter.vocabulary.gpu_metrics import HW_ID, XID

WAIT_MS: Final = 1000
OPENINGS: Final = 16
"""Times that the driver may end the waiting; it does so when a GPU is lost."""


class XidProbe:
    """``turn()`` waits for one event for at most a second and passes it on as a ``train.log``.

    The body has the form of the kernel's line, so that the same rules read both.
    """

    def __init__(self, gpus: GpuProbe, log: Emit) -> None:
        self._gpus, self._log = gpus, log
        self._set: Any = None
        self._known: dict[int, tuple[str, str]] = {}
        self._openings = 0
        self.off = False

    def turn(self) -> None:
        """Wait for the next event; does nothing once the driver said that it has none."""
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
            self._tell(_address(event.device), int(event.eventData))

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

    def _tell(self, address: int, xid: int) -> None:
        uuid, pci = self._known.get(address, ("unknown", "unknown"))
        self._log(f"Xid (PCI:{pci}): {xid}, reported by NVML for {uuid}", ERROR, {HW_ID: uuid, XID: xid})


def _address(handle: Any) -> int:
    return int(ctypes.cast(handle, ctypes.c_void_p).value or 0)
