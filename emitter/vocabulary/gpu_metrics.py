"""Numbers of GPUs (hw.gpu.*, one sample per GPU with ``hw.id``) and of torch's own memory allocator."""

from __future__ import annotations

from typing import Final

from emitter.vocabulary.metric import Metric

_R: Final = "train.resource"

HW_ID: Final = "hw.id"
"""UUID of the GPU or MIG instance; also on log records that are about one GPU."""
HW_NAME: Final = "hw.name"
HW_PARENT: Final = "hw.parent"
"""UUID of the GPU that a MIG instance is part of."""
XID: Final = "hw.gpu.xid"
"""On a log record: the number of the error that the driver reported."""
TORCH_DEVICE: Final = "torch.device"
"""Torch's own name of the GPU in this process: ``cuda:0``."""

GPU: Final = (
    Metric("hw.gpu.utilization", "1", _R, "Share of time a kernel ran (0 to 1)"),
    Metric("hw.gpu.memory.usage", "By", _R, "GPU memory in use"),
    Metric("hw.gpu.memory.limit", "By", _R, "GPU memory in all"),
    Metric("hw.gpu.memory.utilization", "1", _R, "Share of GPU memory in use (0 to 1)"),
    Metric("hw.gpu.memory.temperature", "Cel", _R, "Temperature of the GPU's memory"),
    Metric("hw.gpu.temperature", "Cel", _R, "GPU temperature"),
    Metric("hw.gpu.power", "W", _R, "GPU power draw"),
    Metric("hw.gpu.power_limit", "W", _R, "Power limit that is enforced"),
    Metric("hw.gpu.clock.sm", "MHz", _R, "SM clock"),
    Metric("hw.gpu.clock.memory", "MHz", _R, "Memory clock"),
    Metric("hw.gpu.throttle_reasons", "1", _R, "NVML bit mask of reasons for reduced clocks"),
    Metric("hw.gpu.errors.ecc.corrected", "{error}", _R, "Corrected ECC errors since boot"),
    Metric("hw.gpu.errors.ecc.uncorrected", "{error}", _R, "Uncorrected ECC errors since boot"),
    Metric("hw.gpu.errors.ecc.lifetime.corrected", "{error}", _R, "Corrected ECC errors in the GPU's life"),
    Metric("hw.gpu.errors.ecc.lifetime.uncorrected", "{error}", _R,
           "Uncorrected ECC errors in the GPU's life"),
    Metric("hw.gpu.remapped_rows.corrected", "{row}", _R, "Rows remapped after corrected errors"),
    Metric("hw.gpu.remapped_rows.uncorrected", "{row}", _R, "Rows remapped after uncorrected errors"),
    Metric("hw.gpu.remapped_rows.pending", "1", _R, "1 when a remapped row waits for a reset of the GPU"),
    Metric("hw.gpu.remapped_rows.failed", "1", _R, "1 when a row could not be remapped"),
    Metric("hw.gpu.nvlink.links", "{link}", _R, "NVLinks of the GPU"),
    Metric("hw.gpu.nvlink.links.active", "{link}", _R, "NVLinks that are up"),
    Metric("hw.gpu.nvlink.errors.crc_flit", "{error}", _R, "NVLink CRC errors of flow control, all links"),
    Metric("hw.gpu.nvlink.errors.crc_data", "{error}", _R, "NVLink CRC errors of data, all links"),
    Metric("hw.gpu.nvlink.errors.replay", "{error}", _R, "NVLink replays, all links"),
    Metric("hw.gpu.nvlink.errors.recovery", "{error}", _R, "NVLink recoveries, all links"),
    Metric("hw.gpu.nvlink.io.receive", "By", _R, "Bytes received over all NVLinks since the driver's start"),
    Metric("hw.gpu.nvlink.io.transmit", "By", _R, "Bytes sent over all NVLinks since the driver's start"),
    Metric("hw.gpu.pcie.generation", "1", _R, "PCIe generation in use; idle GPUs lower it"),
    Metric("hw.gpu.pcie.generation.max", "1", _R, "Highest PCIe generation of GPU and slot"),
    Metric("hw.gpu.pcie.width", "{lane}", _R, "PCIe lanes in use"),
    Metric("hw.gpu.pcie.width.max", "{lane}", _R, "PCIe lanes of GPU and slot"),
    Metric("hw.gpu.pcie.replays", "{replay}", _R, "PCIe replays since boot"),
    Metric("hw.gpu.pcie.io.receive", "By/s", _R, "Bytes received over PCIe per second, measured for 20 ms"),
    Metric("hw.gpu.pcie.io.transmit", "By/s", _R, "Bytes sent over PCIe per second, measured for 20 ms"),
)  # fmt: skip

TORCH: Final = (
    Metric("torch.cuda.memory.allocated", "By", _R, "Memory in tensors of this process on this GPU"),
    Metric("torch.cuda.memory.allocated.peak", "By", _R, "Its peak since the start, or the trainer's reset"),
    Metric("torch.cuda.memory.reserved", "By", _R, "Memory that torch's allocator holds on this GPU"),
    Metric("torch.cuda.memory.reserved.peak", "By", _R, "Its peak since the start, or the trainer's reset"),
    Metric("torch.cuda.memory.inactive_split", "By", _R, "Free memory in pieces of blocks that are in use"),
    Metric("torch.cuda.memory.retries", "{retry}", _R, "Allocations that succeeded after emptying the cache"),
    Metric("torch.cuda.memory.ooms", "{error}", _R, "Allocations that failed for want of memory"),
)
