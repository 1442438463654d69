"""Names of numbers: one list with unit and meaning, and the aliases that lead to it.

The documentation page of metrics is generated from this list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from emitter.vocabulary.gpu_metrics import GPU, TORCH
from emitter.vocabulary.metric import Metric
from emitter.vocabulary.rl_metrics import REINFORCEMENT
from emitter.vocabulary.training_metrics import TRAINING

__all__ = ["ALIASES", "BY_NAME", "METRICS", "Metric", "canonical", "canonical_values"]

_R = "train.resource"

_RESOURCES: Final = (
    Metric("system.cpu.utilization", "1", _R, "Share of all CPU time in use on the host (0 to 1)"),
    Metric("system.memory.usage", "By", _R, "Memory in use on the host"),
    Metric("system.memory.utilization", "1", _R, "Share of the host's memory in use (0 to 1)"),
    Metric("system.filesystem.free", "By", _R, "Free bytes where the trainer runs"),
    Metric("system.disk.io.read", "By/s", _R, "Bytes read from disks per second"),
    Metric("system.disk.io.write", "By/s", _R, "Bytes written to disks per second"),
    Metric("system.network.io.receive", "By/s", _R, "Bytes received per second"),
    Metric("system.network.io.transmit", "By/s", _R, "Bytes sent per second"),
    Metric("system.shm.free", "By", _R, "Free bytes of /dev/shm, which DataLoader workers use"),
    Metric("process.cpu.utilization", "1", _R, "CPU use of the trainer process, 1 = one core"),
    Metric("process.memory.usage", "By", _R, "Resident memory of the trainer process"),
    Metric("process.open_file_descriptors", "{fd}", _R, "Open file descriptors of the trainer process"),
    Metric("process.threads", "{thread}", _R, "Threads of the trainer process"),
)

METRICS: Final = (*TRAINING, *REINFORCEMENT, *_RESOURCES, *GPU, *TORCH)
BY_NAME: Final[Mapping[str, Metric]] = {metric.name: metric for metric in METRICS}
ALIASES: Final[Mapping[str, str]] = {alias: metric.name for metric in METRICS for alias in metric.aliases}


def canonical(name: str, extra: Mapping[str, str] | None = None) -> str:
    """The canonical name of a logged metric; the name itself where no alias leads elsewhere.

    ``extra`` is the user's own table (``init(aliases=...)``) and wins over ours.
    """
    if extra and name in extra:
        return extra[name]
    return ALIASES.get(name, name)


def canonical_values(
    values: Mapping[str, object], extra: Mapping[str, str] | None = None
) -> dict[str, object]:
    """The values under canonical names. A canonical name that was logged itself wins over its aliases;
    the losing alias stays under the name it was logged with, so nothing is dropped.
    """
    result: dict[str, object] = {}
    for name, value in values.items():
        target = canonical(name, extra)
        if target != name and (target in values or target in result):
            target = name
        result[target] = value
    return result
