"""NVIDIA GPUs through NVML, under the names of vocabulary/metrics.py. Without a driver: silently off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pynvml

from emitter._guard import logger

HW_ID: Final = "hw.id"
HW_NAME: Final = "hw.name"


class GpuProbe:
    """One sample per GPU; a field that the driver refuses is left out."""

    def __init__(self) -> None:
        self._handles: list[Any] | None = None

    def sample(self) -> list[dict[str, Any]]:
        """Names and values of each GPU, with ``hw.id`` (UUID) and ``hw.name``; empty without a driver."""
        if self._handles is None:
            self._handles = _handles()
        return [_read(handle) for handle in self._handles]

    def close(self) -> None:
        """Let go of the driver."""
        if self._handles:
            pynvml.nvmlShutdown()
        self._handles = []


def _handles() -> list[Any]:
    try:
        pynvml.nvmlInit()
        return [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError as error:
        logger.debug("no NVIDIA GPUs are sampled: %s", error)
        return []


def _read(handle: Any) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for names, read in _FIELDS:
        try:
            found = read(handle)
        except (pynvml.NVMLError, AttributeError):  # AttributeError: a driver older than the call
            continue
        values.update(zip(names, found, strict=True))
    if values.get("hw.gpu.memory.limit"):
        values["hw.gpu.memory.utilization"] = values["hw.gpu.memory.usage"] / values["hw.gpu.memory.limit"]
    return values


def _utilization(handle: Any) -> tuple[float]:
    return (pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100,)


def _memory(handle: Any) -> tuple[int, int]:
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return int(memory.used), int(memory.total)


def _ecc(kind: int) -> Callable[[Any], tuple[int]]:
    return lambda handle: (int(pynvml.nvmlDeviceGetTotalEccErrors(handle, kind, pynvml.NVML_VOLATILE_ECC)),)


def _word(value: str | bytes) -> tuple[str]:
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else value,)


_FIELDS: Final[tuple[tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]], ...]] = (
    ((HW_ID,), lambda handle: _word(pynvml.nvmlDeviceGetUUID(handle))),
    ((HW_NAME,), lambda handle: _word(pynvml.nvmlDeviceGetName(handle))),
    (("hw.gpu.utilization",), _utilization),
    (("hw.gpu.memory.usage", "hw.gpu.memory.limit"), _memory),
    (("hw.gpu.temperature",), lambda handle: (
        int(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)),)),
    (("hw.gpu.power",), lambda handle: (pynvml.nvmlDeviceGetPowerUsage(handle) / 1000,)),
    (("hw.gpu.clock.sm",), lambda handle: (
        int(pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM)),)),
    (("hw.gpu.clock.memory",), lambda handle: (
        int(pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_MEM)),)),
    (("hw.gpu.throttle_reasons",), lambda handle: (
        int(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)),)),
    (("hw.gpu.errors.ecc.corrected",), _ecc(pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED)),
    (("hw.gpu.errors.ecc.uncorrected",), _ecc(pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED)),
)  # fmt: skip
