"""What the supervisor and the emitters inside its trainer tell each other: variables and files.

The trainer's emitters write ``<rank>.json`` once a second and append to ``checkpoints.jsonl`` and
``exceptions.jsonl``, all in the folder that ENV_PULSE names. A file rather than a socket: it is there after
the process has gone.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final

ENV_SUPERVISOR: Final = "TRAINWARDEN_SUPERVISOR"
"""``1`` inside a supervised trainer: a restart has somebody who does it."""
ENV_SUPERVISOR_PID: Final = "TRAINWARDEN_SUPERVISOR_PID"
ENV_ATTEMPT_BASE: Final = "TRAINWARDEN_ATTEMPT_BASE"
ENV_RESUME: Final = "TRAINWARDEN_RESUME"
"""Path of the checkpoint to go on from; not set on the first start."""
ENV_LR_SCALE: Final = "TRAINWARDEN_LR_SCALE"
"""What the configured learning rate is to be multiplied with, after rollbacks that asked for it."""
ENV_PULSE: Final = "TRAINWARDEN_PULSE"
"""Folder of the pulse files."""

CHECKPOINTS_FILE: Final = "checkpoints.jsonl"
EXCEPTIONS_FILE: Final = "exceptions.jsonl"
"""Rows ``{"lines": [...]}``: the tracebacks that emitters report themselves, before they are printed."""
TRAINER_ROLE: Final = "trainer"
SUPERVISOR_ROLE: Final = "supervisor"


@dataclass(frozen=True)
class Pulse:
    """One rank as it was at ``monotonic_ns`` (CLOCK_MONOTONIC, the same for all processes of a machine).

    ``steps`` counts calls of ``step()``, ``progress_ns`` is when progress was last made. ``commands``: what
    became of those that came last, None while they are open. ``ended``: the attributes of its last lifecycle
    record, once it has said it. ``asked``: action and arguments of the command that ends the attempt.
    """

    rank: int
    pid: int
    time: float
    monotonic_ns: int
    progress_ns: int
    phase: str
    steps: int
    step: int | None = None
    attempt: int = 0
    world_size: int = 1
    local_world_size: int | None = None
    role: str = TRAINER_ROLE
    heartbeat_s: float = 30.0
    allow: list[str] | None = None
    commands: dict[str, str | None] = field(default_factory=dict)
    ended: dict[str, Any] | None = None
    asked: dict[str, Any] | None = None

    def file(self) -> str:
        """Name of its file."""
        return f"{self.rank}.json" if self.role == TRAINER_ROLE else f"{self.role}-{self.rank}.json"

    def encode(self) -> str:
        """JSON, one object."""
        return json.dumps(asdict(self), default=str)


def decode_pulse(text: str) -> Pulse:
    """A pulse from its file; unknown keys are passed over. Raises ValueError."""
    data = json.loads(text)
    if not isinstance(data, dict):
        raise ValueError("expected a JSON object")
    try:
        return Pulse(**{name: value for name, value in data.items() if name in Pulse.__dataclass_fields__})
    except TypeError as error:
        raise ValueError(str(error)) from None
