"""What goes wrong in the demo, and which rules are right to say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NONE: Final = "none"
STRAGGLER: Final = "straggler"
SLOW_RANK: Final = 2
"""Which rank of the example gets slow."""

_CRASH: Final = frozenset({"python-exception", "exit-error"})
_GROWTH: Final = frozenset({"gradient-explosion", "loss-spike", "loss-not-finite"})
RULES: Final = {
    "lr-spike": _GROWTH,
    "lr-ramp": _GROWTH,
    "bad-batch": _GROWTH,
    "nan": frozenset({"loss-not-finite"}),
    "hang": frozenset({"supervisor-stalled"}),
    "crash": _CRASH,
    "oom": _CRASH | {"host-oom"},
    "disk-full": _CRASH | {"disk-full", "checkpoint-failed", "checkpoint-save-failed"},
    "kill-rank": frozenset({"exit-killed"}),
    STRAGGLER: frozenset({"straggler-compute", "straggler", "step-time-rise", "throughput-drop"}),
}
CAUSES: Final = {
    "hang": "hung", "crash": "exception", "oom": "exception", "disk-full": "exception", "kill-rank": "killed",
}  # fmt: skip
"""Faults that end the process or stop it for good, and what the supervisor calls such an end."""

MAY_BE_SILENT: Final = frozenset({"kill-rank"})
"""Faults whose rules wait for a cause, while the next attempt may begin and end the waiting."""

BEFORE: Final = 60
"""Steps a rule may need to know what is normal."""
AFTER: Final = 60
"""Steps the loop may need to close, and the run to recover."""
SLOW_STEPS: Final = 80
"""For so many steps the example's straggler is slow."""
USUAL_AFTER: Final = 200
USUAL_STEPS: Final = 400


class UsageError(ValueError):
    """The demo cannot be played as asked; the message says what was expected."""


@dataclass(frozen=True)
class Fault:
    """``kind`` at ``step``; the step is None where nothing goes wrong."""

    kind: str = NONE
    step: int | None = None

    def __str__(self) -> str:
        return self.kind if self.step is None else f"{self.kind}@{self.step}"

    @property
    def cause(self) -> str | None:
        """What the supervisor is to say of the end; None where the trainer lives on."""
        return CAUSES.get(self.kind)

    @property
    def ranks(self) -> int:
        """How many processes train."""
        return 4 if self.kind == STRAGGLER else 1

    @property
    def after(self) -> int:
        """Steps that are needed after the one at which it begins."""
        return SLOW_STEPS + AFTER if self.kind == STRAGGLER else AFTER

    @property
    def rules(self) -> frozenset[str]:
        """Ids of the rules that are right to fire."""
        return RULES.get(self.kind, frozenset())


def parse(text: str, steps: int | None) -> tuple[Fault, int]:
    """The fault, and the number of steps to train. Raises UsageError."""
    if text == NONE:
        return Fault(), steps or USUAL_STEPS
    kind, _, number = text.partition("@")
    if kind not in RULES or not (number.isascii() and number.isdigit()):
        raise UsageError(f"fault: expected none, or {', '.join(RULES)} with @STEP, got {text!r}")
    fault = Fault(kind, int(number))
    steps = steps or int(number) + USUAL_AFTER
    if not BEFORE <= int(number) <= steps - fault.after:
        raise UsageError(
            f"fault: expected a step from {BEFORE} to {steps - fault.after} in a run of {steps} steps, "
            f"got {text!r}; choose another step, or more --steps"
        )
    return fault, steps
