"""Which diagnoses belong together, and which of them is the cause: a table of what brings what about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from emitter.vocabulary import diagnoses

_DEATH: Final = frozenset([
    "process_exit", "python_exception", "segfault", "unreachable", "nccl_error", "nccl_timeout", "hang",
    "restart_storm",
])  # fmt: skip
"""What is seen when ranks die, whatever killed them."""
_EXIT: Final = _DEATH - {"python_exception", "segfault"}
_SLOW: Final = frozenset({"straggler", "throughput_drop"})
_GPU: Final = {"gpu_lost", "ecc", "cuda_error", "node_loss", "checkpoint_error"} | _DEATH | _SLOW
_DISK: Final = {"checkpoint_error", "checkpoint_slow", "checkpoint_stale", "data_stall"} | _DEATH

CAUSES: Final[dict[str, frozenset[str]]] = {
    "xid": frozenset(_GPU),
    "ecc": frozenset(_GPU - {"ecc"}),
    "gpu_lost": frozenset(_GPU - {"gpu_lost"}),
    "node_loss": frozenset({"network", "checkpoint_error"}) | _DEATH | _SLOW,
    "cuda_error": _DEATH,
    "cuda_oom": _DEATH,
    "host_oom": frozenset({"dataloader_crash", "node_loss"}) | _DEATH,
    "memory_leak": frozenset({"host_oom", "cuda_oom"}) | _DEATH | _SLOW,
    "disk_full": frozenset(_DISK),
    "network": frozenset({"nccl_timeout", "nccl_error", "hang", "unreachable", "data_stall"}) | _SLOW,
    "nccl_error": _DEATH - {"nccl_error"},
    "nccl_timeout": _DEATH - {"nccl_timeout"},
    "hang": frozenset({"nccl_timeout", "unreachable", "process_exit", "restart_storm", "throughput_drop"}),
    "straggler": frozenset({"nccl_timeout", "hang", "throughput_drop"}),
    "gpu_throttle": _SLOW,
    "dataloader_crash": frozenset({"data_stall", "throughput_drop"}) | _DEATH,
    "data_stall": frozenset({"hang", "nccl_timeout"}) | _SLOW,
    "checkpoint_error": frozenset({"checkpoint_stale"}) | _DEATH,
    "checkpoint_slow": frozenset({"checkpoint_stale", "hang"}) | _SLOW,
    "preemption": frozenset({"node_loss"}) | _DEATH,
    "python_exception": _EXIT,
    "segfault": _EXIT,
    "process_exit": _EXIT - {"process_exit"},
    "unreachable": frozenset({"restart_storm"}),
    # Either may come first: there, time decides.
    "nan_grad": frozenset({"nan_loss", "loss_zero_collapse", "reward_collapse", "python_exception"}),
    "nan_loss": frozenset({"nan_grad", "loss_zero_collapse", "reward_collapse", "python_exception"}),
    "grad_explosion": frozenset({"nan_loss", "nan_grad", "loss_spike", "divergence", "loss_zero_collapse"}),
    "loss_spike": frozenset({"divergence", "nan_loss", "nan_grad", "grad_explosion"}),
    "divergence": frozenset({"nan_loss", "nan_grad"}),
    "kl_explosion": frozenset({"reward_collapse", "entropy_collapse", "divergence", "nan_loss"}),
    "entropy_collapse": frozenset({"reward_collapse", "reward_anomaly"}),
    "reward_anomaly": frozenset({"reward_collapse"}),
    "grad_vanishing": frozenset({"plateau"}),
}
"""Category to the categories it brings about."""


class Relative(Protocol):
    """What kinship asks of a diagnosis."""

    @property
    def rule(self) -> str: ...
    @property
    def category(self) -> str: ...
    @property
    def severity(self) -> str: ...
    @property
    def inhibited_by(self) -> tuple[str, ...]: ...
    @property
    def began_ns(self) -> int: ...


def explains(one: Relative, other: Relative) -> bool:
    """Whether the first may have brought the second about."""
    return one.rule in other.inhibited_by or other.category in CAUSES.get(one.category, ())


def related(one: Relative, other: Relative, together_s: float) -> bool:
    """Whether two diagnoses are about the same trouble."""
    if one.rule == other.rule or one.rule in other.inhibited_by or other.rule in one.inhibited_by:
        return True
    if abs(one.began_ns - other.began_ns) > together_s * 1e9:
        return False
    return one.category == other.category or explains(one, other) or explains(other, one)


def cause_of(members: Sequence[Relative]) -> int:
    """Which of these is the cause: one that no other explains, the earliest of them, the gravest of those."""
    free = [n for n, one in enumerate(members) if not _explained(one, _others(members, n))]

    def order(number: int) -> tuple[int, int, int]:
        one = members[number]
        return one.began_ns, -_gravity(one.severity), number

    return min(free or range(len(members)), key=order)


def _explained(one: Relative, others: Iterable[Relative]) -> bool:
    return any(explains(other, one) and not explains(one, other) for other in others)


def _others(members: Sequence[Relative], number: int) -> list[Relative]:
    return [*members[:number], *members[number + 1 :]]


def _gravity(severity: str) -> int:
    return diagnoses.SEVERITIES.index(severity) if severity in diagnoses.SEVERITIES else -1
