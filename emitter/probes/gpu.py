"""NVIDIA GPUs through NVML, under the names of vocabulary/gpu_metrics.py. Without a driver: silently off."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

import pynvml

from emitter._guard import logger
from emitter._records import ERROR, WARNING
from emitter.probes import nvml_fields
from emitter.probes.gpu_choice import Choice
from emitter.probes.logs import Emit
from emitter.vocabulary.gpu_metrics import HW_ID, HW_NAME, HW_PARENT

_GONE: Final = (pynvml.NVMLError_GpuIsLost, pynvml.NVMLError_ResetRequired)
_NEVER: Final = (pynvml.NVMLError_NotSupported, pynvml.NVMLError_FunctionNotFound, AttributeError)
"""AttributeError: an nvidia-ml-py that is older than the call."""


class Gpu:
    """One GPU or MIG instance. What it does not support is asked once."""

    def __init__(self, handle: Any, uuid: str, parent: str | None = None) -> None:
        self.handle, self.uuid, self.parent, self.lost = handle, uuid, parent, False
        self._fields = list(nvml_fields.FIELDS)
        self._extra: list[Callable[[Any], Any]] = [nvml_fields.field_values]
        self._links: list[bool] | None = None
        self._before: dict[str, float] = {}
        self.name = _word(pynvml.nvmlDeviceGetName(handle))

    def pci(self) -> str:
        """Its PCI address as the kernel log writes it: ``0000:41:00``."""
        bus = _word(pynvml.nvmlDeviceGetPciInfo(self.handle).busId).lower()
        domain, _, rest = bus.partition(":")
        return f"{domain[-4:]}:{rest.partition('.')[0]}"

    def read(self, log: Emit) -> dict[str, Any]:
        """Names and values. Raises NVMLError_GpuIsLost and NVMLError_ResetRequired."""
        values: dict[str, Any] = {HW_ID: self.uuid, HW_NAME: self.name}
        if self.parent is not None:
            values[HW_PARENT] = self.parent
        for row in list(self._fields):
            values.update(zip(row[0], self._try(self._fields, row, row[1]) or (), strict=False))
        for read in list(self._extra):
            values.update(self._try(self._extra, read, read) or {})
        if values.get("hw.gpu.memory.limit"):
            values["hw.gpu.memory.utilization"] = (
                values["hw.gpu.memory.usage"] / values["hw.gpu.memory.limit"]
            )
        if self.parent is None:
            values.update(self._nvlinks(log))
        self._tell_rows(values, log)
        return values

    def _try(self, known: list[Any], row: Any, read: Callable[[Any], Any]) -> Any:
        try:
            return read(self.handle)
        except _GONE:
            raise
        except _NEVER:
            known.remove(row)
        except pynvml.NVMLError:
            pass
        return None

    def _nvlinks(self, log: Emit) -> dict[str, int]:
        before = self._links
        if before == []:
            return {}
        self._links = now = self._try([None], None, nvml_fields.links) or []
        if not now:
            return {}
        for number, (was, up) in enumerate(zip(before or (), now, strict=False)):
            if was and not up:
                log(f"GPU {self.uuid}: NVLink {number} went down", ERROR, {HW_ID: self.uuid})
        return {"hw.gpu.nvlink.links": len(now), "hw.gpu.nvlink.links.active": sum(now)}

    def _tell_rows(self, values: dict[str, Any], log: Emit) -> None:
        failed, pending = "hw.gpu.remapped_rows.failed", "hw.gpu.remapped_rows.pending"
        before, self._before = self._before, {name: values.get(name, 0) for name in (failed, pending)}
        # A pending row from before the run is no news; a failure is, for it stays until the GPU is replaced.
        if values.get(failed) and not before.get(failed):
            log(f"GPU {self.uuid}: row remapping failure, its memory cannot be repaired", ERROR,
                {HW_ID: self.uuid})  # fmt: skip
        if before and values.get(pending) and not before[pending]:
            log(f"GPU {self.uuid}: row remap pending until it is reset, after an uncorrectable memory error",
                ERROR, {HW_ID: self.uuid})  # fmt: skip


class GpuProbe:
    """One sample per GPU; a field that the driver refuses is left out."""

    def __init__(self, choice: Choice | None = None, log: Emit | None = None) -> None:
        self._choice = choice or Choice()
        self._log: Emit = log or (lambda body, severity, attributes: None)
        self.gpus: list[Gpu] | None = None
        self._lock = threading.Lock()

    def sample(self) -> list[dict[str, Any]]:
        """Names and values of each GPU, with ``hw.id`` (UUID) and ``hw.name``; empty without a driver."""
        samples = []
        for gpu in self.found():
            if gpu.lost:
                continue
            try:
                samples.append(gpu.read(self._log))
            except _GONE as error:
                gpu.lost = True
                self._tell_lost(gpu.uuid, error)
        return samples

    def found(self) -> list[Gpu]:
        """The GPUs that were chosen."""
        with self._lock:
            if self.gpus is None:
                self.gpus = self._open()
            return self.gpus

    def close(self) -> None:
        """Let go of the driver."""
        if self.gpus:
            pynvml.nvmlShutdown()
        self.gpus = []

    def _open(self) -> list[Gpu]:
        try:
            pynvml.nvmlInit()
            count = pynvml.nvmlDeviceGetCount()
        except (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded) as error:
            logger.debug("no NVIDIA GPUs are sampled: %s", error)
            return []
        except pynvml.NVMLError_LibRmVersionMismatch:
            self._log("Failed to initialize NVML: Driver/library version mismatch", WARNING, {})
            return []
        except pynvml.NVMLError as error:
            self._log(f"Failed to initialize NVML: {error}", WARNING, {})
            return []
        there = [gpu for index in range(count) for gpu in self._at(index)]
        wanted = set(self._choice.pick([gpu.uuid for gpu in there]))
        return [gpu for gpu in there if gpu.uuid in wanted or gpu.parent in wanted]

    def _at(self, index: int) -> list[Gpu]:
        """The GPU of this number and its MIG instances; none where it does not answer."""
        try:
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            whole = Gpu(handle, _word(pynvml.nvmlDeviceGetUUID(handle)))
            return [whole, *_instances(whole)]
        except _GONE as error:
            self._tell_lost(str(index), error)
        except pynvml.NVMLError as error:
            logger.debug("GPU %d is not sampled: %s", index, error)
        return []

    def _tell_lost(self, name: str, error: Exception) -> None:
        lost = isinstance(error, pynvml.NVMLError_GpuIsLost)
        what = "is lost" if lost else "cannot be used (NV_ERR_RESET_REQUIRED)"
        self._log(f"GPU {name} {what}: NVML says {error}", ERROR, {HW_ID: name})


def _instances(whole: Gpu) -> list[Gpu]:
    try:
        if pynvml.nvmlDeviceGetMigMode(whole.handle)[0] != pynvml.NVML_DEVICE_MIG_ENABLE:
            return []
        count = pynvml.nvmlDeviceGetMaxMigDeviceCount(whole.handle)
    except (pynvml.NVMLError, AttributeError):
        return []
    found = []
    for index in range(count):
        try:
            handle = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(whole.handle, index)
            found.append(Gpu(handle, _word(pynvml.nvmlDeviceGetUUID(handle)), whole.uuid))
        except pynvml.NVMLError:  # a slot without an instance
            continue
    return found


def _word(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
