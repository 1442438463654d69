"""Incidents: the firing diagnoses of one run that stand together, and the actions planned for them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from emitter.vocabulary import cloudevents, commands
from emitter.vocabulary.commands import Command
from emitter.vocabulary.diagnoses import Diagnosis
from stream.rulelang.model import Action, Rule

NUMERICS: Final = frozenset([
    "nan_loss", "nan_grad", "loss_zero_collapse", "loss_spike", "divergence", "grad_explosion",
    "grad_vanishing", "kl_explosion",
])  # fmt: skip
"""Categories in which the weights themselves may be spoilt."""


class StepState(Enum):
    """How far one planned action is."""

    PLANNED = "planned"
    SENT = "sent"
    DONE = "done"
    HELD = "held"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Nothing more will come of it by itself."""
        return self not in (StepState.PLANNED, StepState.SENT)


@dataclass
class Step:
    """One action of an incident. ``acks`` holds the last state of each rank that answered."""

    position: int
    action: Action
    rule: Rule
    diagnosis: Diagnosis
    fired_ns: int
    state: StepState = StepState.PLANNED
    command: Command | None = None
    sent_ns: int = 0
    times_sent: int = 0
    acks: dict[int | None, str] = field(default_factory=dict)

    @property
    def due_ns(self) -> int:
        """When it may be decided: at once, after the rule's settle time, or after ``if_unresolved``."""
        wait_s = self.rule.settle_s if self.action.if_unresolved_s is None else self.action.if_unresolved_s
        return self.fired_ns + int(wait_s * 1e9)


@dataclass
class Incident:
    """One trouble of one attempt of a run. ``open`` holds the ids of diagnoses that still fire."""

    id: str
    run: str
    attempt: int
    began_ns: int
    before_step: int | None = None
    numerics: bool = False
    open: set[str] = field(default_factory=set)
    steps: list[Step] = field(default_factory=list)

    def join(self, diagnosis: Diagnosis, rule: Rule) -> None:
        """Take in a firing diagnosis, and plan those actions of its rule that do not stand already."""
        self.open.add(diagnosis.id)
        self.numerics = self.numerics or diagnosis.category in NUMERICS
        bad = first_bad_step(diagnosis)
        if bad is not None:
            self.before_step = bad if self.before_step is None else min(self.before_step, bad)
        for action in rule.then:
            if not self._stands(action):
                self.steps.append(Step(len(self.steps), action, rule, diagnosis, diagnosis_ns(diagnosis)))

    def _stands(self, action: Action) -> bool:
        waiting = (StepState.PLANNED, StepState.SENT, StepState.HELD)
        return any(step.action.name == action.name and step.state in waiting for step in self.steps)

    def command_id(self, step: Step) -> str:
        """The same decision is the same command."""
        return commands.command_id(self.run, self.id, step.action.name, step.position)

    def find(self, command: str) -> Step | None:
        """The step that sent this command."""
        return next((s for s in self.steps if s.command is not None and s.command.id == command), None)

    @property
    def over(self) -> bool:
        """Nothing fires any more and nothing is under way."""
        return not self.open and all(step.state.ended for step in self.steps)


def open_incident(diagnosis: Diagnosis) -> Incident:
    """A new incident that begins with this diagnosis; its id follows from it."""
    text = "\x1f".join((diagnosis.run, str(diagnosis.attempt), diagnosis.id))
    identity = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return Incident(identity, diagnosis.run, diagnosis.attempt, diagnosis_ns(diagnosis))


def diagnosis_ns(diagnosis: Diagnosis) -> int:
    """The diagnosis's time in Unix nanoseconds. Raises ValueError."""
    return cloudevents.parse_rfc3339(diagnosis.time)


def first_bad_step(diagnosis: Diagnosis) -> int | None:
    """The first step that matched, as far as the rule knows."""
    since = diagnosis.evidence.get("since_step")
    if isinstance(since, (int, float)) and not isinstance(since, bool):
        return int(since)
    return diagnosis.step
