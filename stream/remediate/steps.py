"""One planned action of an incident, and how it may go on."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from emitter.vocabulary import commands
from emitter.vocabulary.commands import Ack, Command
from emitter.vocabulary.diagnoses import Diagnosis
from stream.remediate.plan import Plan, PlannedAction


class StepState(Enum):
    """How far one planned action is."""

    PLANNED = "planned"
    HELD = "held"
    SENT = "sent"
    DONE = "done"
    FAILED = "failed"
    DROPPED = "dropped"
    """Not done, and not to be done: silenced, withdrawn, suppressed or rejected."""

    @property
    def ended(self) -> bool:
        """Nothing more will come of it."""
        return not STEP_MOVES[self]


STEP_MOVES: Final[dict[StepState, frozenset[StepState]]] = {
    StepState.PLANNED: frozenset(StepState) - {StepState.PLANNED},
    StepState.HELD: frozenset({StepState.SENT, StepState.FAILED, StepState.DROPPED}),
    StepState.SENT: frozenset({StepState.DONE, StepState.FAILED, StepState.DROPPED}),
    StepState.DONE: frozenset(),
    StepState.FAILED: frozenset(),
    StepState.DROPPED: frozenset(),
}
"""What may follow what."""


class ForbiddenMoveError(RuntimeError):
    """A bug of ours: the table does not allow this change; the message names both states."""


@dataclass
class Step:
    """One action of an incident. ``acks`` holds the last state each rank was said to be in.

    ``told_ns``: when the arbiter was told of the diagnosis, by the wall clock of who told it; ``sent_ns``:
    when the command went out last; ``begun_ns``: when a rank said that it runs.
    """

    position: int
    action: PlannedAction
    plan: Plan
    diagnosis: Diagnosis
    fired_ns: int
    told_ns: int = 0
    state: StepState = StepState.PLANNED
    command: Command | None = None
    command_id: str = ""
    sent_ns: int = 0
    first_sent_ns: int = 0
    expires_ns: int = 0
    times_sent: int = 0
    begun_ns: int | None = None
    outcome: str | None = None
    reason: str | None = None
    author: str | None = None
    acks: dict[int | None, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What is to be done."""
        return self.action.name

    @property
    def attempt(self) -> int:
        """The attempt it is about: a command is never for another one."""
        return self.diagnosis.attempt

    @property
    def escalation(self) -> bool:
        """Whether it waits for time to pass instead of for the actions before it."""
        return self.action.if_unresolved_s is not None

    @property
    def due_ns(self) -> int:
        """When it may be decided: at once, after the rule's settle time, or after ``if_unresolved``."""
        wait_s = self.plan.settle_s if self.action.if_unresolved_s is None else self.action.if_unresolved_s
        return self.fired_ns + int(wait_s * 1e9)

    def late(self, lifetime_s: float) -> bool:
        """Whether it was told of longer after it happened than a command lives, whatever the clock says."""
        return self.told_ns - self.fired_ns >= lifetime_s * 1e9

    def move(self, state: StepState) -> None:
        """Go on. Raises ForbiddenMoveError."""
        if state not in STEP_MOVES[self.state]:
            raise ForbiddenMoveError(f"a step cannot go from {self.state.value} to {state.value}")
        self.state = state

    def heard(self, ack: Ack, time_ns: int) -> None:
        """Take in an answer; the supervisor speaks for all the ranks it names."""
        for rank in speaks_for(ack):
            # A success stands, whoever else is asked afterwards.
            if self.acks.get(rank) != commands.SUCCEEDED:
                self.acks[rank] = ack.state
        if ack.state == commands.RUNNING and self.begun_ns is None:
            self.begun_ns = time_ns

    def to_json(self) -> dict[str, Any]:
        """As an incident shows it."""
        return {
            "command": self.command_id or None, "action": self.name, "rule": self.diagnosis.rule,
            "diagnosis": self.diagnosis.id, "attempt": self.attempt, "state": self.state.value,
            "outcome": self.outcome, "reason": self.reason, "author": self.author,
            "sendings": self.times_sent,
            "ranks": {"-" if rank is None else str(rank): state for rank, state in self.acks.items()},
        }  # fmt: skip


def speaks_for(ack: Ack) -> list[int | None]:
    """The ranks an acknowledgement is about."""
    ranks = ack.detail.get("ranks") if isinstance(ack.detail, dict) else None
    if ack.executor != "emitter" and isinstance(ranks, list):
        return [rank for rank in ranks if type(rank) is int]
    return [ack.rank]
