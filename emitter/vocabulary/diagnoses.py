"""Diagnoses: what a rule concluded, as it travels on ``train.diagnoses``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final

from emitter.vocabulary import cloudevents

PENDING: Final = "pending"
FIRING: Final = "firing"
RESOLVED: Final = "resolved"
STATES: Final = (PENDING, FIRING, RESOLVED)

INFO: Final = "info"
WARNING: Final = "warning"
CRITICAL: Final = "critical"
SEVERITIES: Final = (INFO, WARNING, CRITICAL)

CATEGORIES: Final = frozenset(
    [
        "nan_loss",
        "nan_grad",
        "loss_zero_collapse",
        "loss_spike",
        "divergence",
        "plateau",
        "overfitting",
        "grad_explosion",
        "grad_vanishing",
        "kl_explosion",
        "reward_collapse",
        "reward_anomaly",
        "entropy_collapse",
        "cuda_oom",
        "host_oom",
        "memory_leak",
        "nccl_timeout",
        "nccl_error",
        "xid",
        "ecc",
        "gpu_throttle",
        "gpu_lost",
        "straggler",
        "hang",
        "node_loss",
        "process_exit",
        "dataloader_crash",
        "data_stall",
        "throughput_drop",
        "disk_full",
        "network",
        "python_exception",
        "segfault",
        "cuda_error",
        "checkpoint_error",
        "checkpoint_slow",
        "checkpoint_stale",
        "preemption",
        "restart_storm",
        "unreachable",
        "milestone",
    ]
)
CUSTOM_CATEGORY_PREFIX: Final = "custom."


@dataclass(frozen=True)
class Diagnosis:
    """One transition of one diagnosis. All keys are always in the JSON, null where unknown.

    ``id`` is the same for all transitions of one firing and is derived from run, attempt, rule, series
    and the first matching sample, so that a replay makes no second one. ``time`` is RFC 3339.
    ``evidence`` maps the names used by the rule to their values; ``since_step`` in it is the first step
    that matched. ``then`` lists the names of the actions in order.
    """

    id: str
    rule: str
    category: str
    severity: str
    state: str
    run: str
    time: str
    summary: str
    attempt: int = 0
    rank: int | None = None
    node: str | None = None
    step: int | None = None
    epoch: float | None = None
    role: str | None = None
    file: str | None = None
    line: int | None = None
    rule_version: str | None = None
    evidence: dict[str, Any] = field(default_factory=dict)
    suggestions: list[str] = field(default_factory=list)
    then: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The JSON object of DESIGN 9, numbers that are not finite as strings."""
        data: dict[str, Any] = cloudevents.finite(asdict(self))
        return data

    def encode(self) -> bytes:
        """The CloudEvent; its id is ``<diagnosis id>/<state>``."""
        return cloudevents.encode(
            cloudevents.DIAGNOSIS, f"{self.id}/{self.state}", self.run, self.time, self.to_json()
        )


_FIELDS = frozenset(Diagnosis.__dataclass_fields__)


def decode(payload: bytes) -> Diagnosis:
    """A diagnosis from its CloudEvent; unknown keys are ignored. Raises CloudEventError."""
    data = cloudevents.decode(payload, cloudevents.DIAGNOSIS)
    try:
        return Diagnosis(**{key: value for key, value in data.items() if key in _FIELDS})
    except TypeError as error:
        raise cloudevents.CloudEventError(f"diagnosis: {error}") from None
