"""What torch's CUDA allocator says of itself. Nothing before the trainer itself has started CUDA."""

from __future__ import annotations

import sys
from typing import Any, Final

from emitter.vocabulary.gpu_metrics import HW_ID, TORCH_DEVICE

_NAMES: Final = {
    "torch.cuda.memory.allocated": "allocated_bytes.all.current",
    "torch.cuda.memory.allocated.peak": "allocated_bytes.all.peak",
    "torch.cuda.memory.reserved": "reserved_bytes.all.current",
    "torch.cuda.memory.reserved.peak": "reserved_bytes.all.peak",
    "torch.cuda.memory.inactive_split": "inactive_split_bytes.all.current",
    "torch.cuda.memory.retries": "num_alloc_retries",
    "torch.cuda.memory.ooms": "num_ooms",
}


def cuda() -> Any:
    """``torch.cuda`` where the trainer has imported it and CUDA runs in this process; else None."""
    torch = sys.modules.get("torch")
    found = getattr(torch, "cuda", None)
    started = getattr(found, "is_initialized", None)
    return found if started is not None and started() else None


def sample() -> list[dict[str, Any]]:
    """One row for each GPU on which this process holds memory."""
    running = cuda()
    if running is None:
        return []
    rows = [of_device(running, index) for index in range(running.device_count())]
    return [row for row in rows if row.get("torch.cuda.memory.reserved.peak")]


def of_device(running: Any, index: int) -> dict[str, Any]:
    """The row of one GPU, with ``hw.id`` where torch knows its UUID."""
    stats = running.memory_stats(index)
    values: dict[str, Any] = {name: stats[key] for name, key in _NAMES.items() if key in stats}
    values[TORCH_DEVICE] = f"cuda:{index}"
    uuid = getattr(running.get_device_properties(index), "uuid", None)
    if uuid is not None:
        values[HW_ID] = f"GPU-{uuid}"
    return values
