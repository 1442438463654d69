"""What is read of one GPU through NVML, under the names of vocabulary/gpu_metrics.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import pynvml

ALL_LINKS: Final = 0xFFFFFFFF
"""Scope of a field value that is summed over all NVLinks."""

Read = Callable[[Any], Sequence[float] | None]


def _utilization(handle: Any) -> tuple[float]:
    return (pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100,)


def _memory(handle: Any) -> tuple[int, int]:
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return int(memory.used), int(memory.total)


def _ecc(counter: int) -> Read:
    kinds = (pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED, pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED)
    return lambda handle: [int(pynvml.nvmlDeviceGetTotalEccErrors(handle, kind, counter)) for kind in kinds]


def _one(name: str, *arguments: int, scale: float = 1) -> Read:
    # Looked up at the call: an older nvidia-ml-py may lack it, which is a field less and no error.
    return lambda handle: (getattr(pynvml, name)(handle, *arguments) * scale,)


def _clock_reasons(handle: Any) -> tuple[int]:
    read = getattr(pynvml, "nvmlDeviceGetCurrentClocksEventReasons", None)
    try:
        return (int(read(handle)),) if read else (0,)
    except pynvml.NVMLError_FunctionNotFound:
        return (int(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)),)


def _pcie(handle: Any) -> tuple[float, float]:
    # The driver counts for 20 ms, in KB/s.
    kinds = (pynvml.NVML_PCIE_UTIL_RX_BYTES, pynvml.NVML_PCIE_UTIL_TX_BYTES)
    received, sent = (pynvml.nvmlDeviceGetPcieThroughput(handle, kind) * 1000 for kind in kinds)
    return received, sent


FIELDS: Final[tuple[tuple[tuple[str, ...], Read], ...]] = (
    (("hw.gpu.utilization",), _utilization),
    (("hw.gpu.memory.usage", "hw.gpu.memory.limit"), _memory),
    (("hw.gpu.temperature",), _one("nvmlDeviceGetTemperature", pynvml.NVML_TEMPERATURE_GPU)),
    (("hw.gpu.power",), _one("nvmlDeviceGetPowerUsage", scale=0.001)),
    (("hw.gpu.power_limit",), _one("nvmlDeviceGetEnforcedPowerLimit", scale=0.001)),
    (("hw.gpu.clock.sm",), _one("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_SM)),
    (("hw.gpu.clock.memory",), _one("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_MEM)),
    (("hw.gpu.throttle_reasons",), _clock_reasons),
    (("hw.gpu.errors.ecc.corrected", "hw.gpu.errors.ecc.uncorrected"), _ecc(pynvml.NVML_VOLATILE_ECC)),
    (("hw.gpu.errors.ecc.lifetime.corrected", "hw.gpu.errors.ecc.lifetime.uncorrected"),
     _ecc(pynvml.NVML_AGGREGATE_ECC)),
    (("hw.gpu.remapped_rows.corrected", "hw.gpu.remapped_rows.uncorrected", "hw.gpu.remapped_rows.pending",
      "hw.gpu.remapped_rows.failed"), lambda handle: list(pynvml.nvmlDeviceGetRemappedRows(handle))),
    (("hw.gpu.pcie.generation",), _one("nvmlDeviceGetCurrPcieLinkGeneration")),
    (("hw.gpu.pcie.generation.max",), _one("nvmlDeviceGetMaxPcieLinkGeneration")),
    (("hw.gpu.pcie.width",), _one("nvmlDeviceGetCurrPcieLinkWidth")),
    (("hw.gpu.pcie.width.max",), _one("nvmlDeviceGetMaxPcieLinkWidth")),
    (("hw.gpu.pcie.replays",), _one("nvmlDeviceGetPcieReplayCounter")),
    (("hw.gpu.pcie.io.receive", "hw.gpu.pcie.io.transmit"), _pcie),
)  # fmt: skip

VALUES: Final[tuple[tuple[str, int, int, float], ...]] = (
    ("hw.gpu.memory.temperature", pynvml.NVML_FI_DEV_MEMORY_TEMP, 0, 1),
    ("hw.gpu.nvlink.errors.crc_flit", pynvml.NVML_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL, 0, 1),
    ("hw.gpu.nvlink.errors.crc_data", pynvml.NVML_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL, 0, 1),
    ("hw.gpu.nvlink.errors.replay", pynvml.NVML_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL, 0, 1),
    ("hw.gpu.nvlink.errors.recovery", pynvml.NVML_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL, 0, 1),
    ("hw.gpu.nvlink.io.receive", pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX, ALL_LINKS, 1024),
    ("hw.gpu.nvlink.io.transmit", pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX, ALL_LINKS, 1024),
)
"""Name, field id, scope, factor: read together in one call."""

_MEMBERS: Final = {
    pynvml.NVML_VALUE_TYPE_DOUBLE: "dVal", pynvml.NVML_VALUE_TYPE_UNSIGNED_INT: "uiVal",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG: "ulVal", pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG: "ullVal",
    pynvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG: "sllVal", pynvml.NVML_VALUE_TYPE_SIGNED_INT: "siVal",
}  # fmt: skip


def field_values(handle: Any) -> dict[str, float]:
    """What of VALUES this GPU has."""
    asked = [(field, scope) for _, field, scope, _ in VALUES]
    found = {}
    for (name, _, _, factor), value in zip(
        VALUES, pynvml.nvmlDeviceGetFieldValues(handle, asked), strict=True
    ):
        member = _MEMBERS.get(value.valueType)
        if value.nvmlReturn == pynvml.NVML_SUCCESS and member is not None:
            found[name] = getattr(value.value, member) * factor
    return found


def links(handle: Any) -> list[bool]:
    """State of each NVLink of the GPU, by its number; empty without NVLink."""
    states = []
    for number in range(pynvml.NVML_NVLINK_MAX_LINKS):
        try:
            states.append(bool(pynvml.nvmlDeviceGetNvLinkState(handle, number)))
        except (pynvml.NVMLError_InvalidArgument, pynvml.NVMLError_NotSupported):
            break
    return states
