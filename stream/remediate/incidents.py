"""Incidents: the diagnoses of one run that belong together, and the actions planned for them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from emitter.vocabulary import cloudevents, commands
from emitter.vocabulary.diagnoses import Diagnosis
from stream.remediate import kinship
from stream.remediate.costs import STANDING, Cost
from stream.remediate.plan import Plan
from stream.remediate.steps import ForbiddenMoveError, Step, StepState

NUMERICS: Final = frozenset([
    "nan_loss", "nan_grad", "loss_zero_collapse", "loss_spike", "divergence", "grad_explosion",
    "grad_vanishing", "kl_explosion",
])  # fmt: skip
"""Categories in which the weights themselves may be spoilt."""

MEMBERS_KEPT: Final = 100
TIMELINE_KEPT: Final = 200


class IncidentState(Enum):
    """How an incident stands."""

    OPEN = "open"
    WAITING = "waiting"
    """For a person's approval."""
    ACTING = "acting"
    SETTLING = "settling"
    """Nothing fires any more; it has to stay so for a while."""
    ESCALATED = "escalated"
    """It still fires and a person has to look."""
    RESOLVED = "resolved"
    FAILED = "failed"
    ENDED = "ended"
    """The run ended first."""

    @property
    def final(self) -> bool:
        """Nothing changes any more."""
        return not MOVES[self]


_FINAL = frozenset({IncidentState.RESOLVED, IncidentState.FAILED, IncidentState.ENDED})
_LIVE = frozenset(IncidentState) - _FINAL
_GIVEN_UP = frozenset({IncidentState.FAILED, IncidentState.ENDED})

MOVES: Final[dict[IncidentState, frozenset[IncidentState]]] = {
    IncidentState.OPEN: _LIVE - {IncidentState.OPEN} | _GIVEN_UP,
    IncidentState.WAITING: _LIVE - {IncidentState.WAITING} | _GIVEN_UP,
    IncidentState.ACTING: _LIVE - {IncidentState.ACTING} | _GIVEN_UP,
    IncidentState.ESCALATED: _LIVE - {IncidentState.ESCALATED} | _GIVEN_UP,
    # Only what was quiet for a while is over.
    IncidentState.SETTLING: _LIVE - {IncidentState.SETTLING} | _FINAL,
    **{state: frozenset() for state in _FINAL},
}
"""What may follow what."""


@dataclass
class Member:
    """One diagnosis of an incident; ``ended_ns`` once it no longer fires."""

    diagnosis: Diagnosis
    inhibited_by: tuple[str, ...]
    began_ns: int
    ended_ns: int | None = None

    @property
    def rule(self) -> str:
        """Its rule."""
        return self.diagnosis.rule

    @property
    def category(self) -> str:
        """Its category."""
        return self.diagnosis.category

    @property
    def severity(self) -> str:
        """Its severity."""
        return self.diagnosis.severity

    def to_json(self) -> dict[str, Any]:
        """As an incident shows it."""
        d = self.diagnosis
        return {
            "diagnosis": d.id, "rule": d.rule, "rule_version": d.rule_version, "category": d.category,
            "severity": d.severity, "attempt": d.attempt, "rank": d.rank, "node": d.node, "step": d.step,
            "summary": d.summary, "evidence": d.evidence, "began": cloudevents.rfc3339(self.began_ns),
            "ended": None if self.ended_ns is None else cloudevents.rfc3339(self.ended_ns),
        }  # fmt: skip


@dataclass
class Incident:
    """One trouble of a run. ``seq`` counts what was published of it; ``quiet_ns``: since when nothing fires.

    ``left_out``: how many diagnoses, and how many lines of the timeline, there were beyond what is kept.
    """

    id: str
    run: str
    attempt: int
    began_ns: int
    run_name: str | None = None
    state: IncidentState = IncidentState.OPEN
    before_step: int | None = None
    numerics: bool = False
    members: list[Member] = field(default_factory=list)
    open: set[str] = field(default_factory=set)
    steps: list[Step] = field(default_factory=list)
    timeline: list[dict[str, Any]] = field(default_factory=list)
    left_out: int = 0
    quiet_ns: int | None = None
    ended_ns: int | None = None
    outcome: str | None = None
    escalations: int = 0
    changed: bool = True
    seq: int = 0
    cost: Cost = field(default_factory=Cost)

    def join(self, diagnosis: Diagnosis, plan: Plan) -> None:
        """Take in a firing diagnosis; its actions are planned by the caller."""
        began_ns = diagnosis_ns(diagnosis)
        self.open.add(diagnosis.id)
        self.quiet_ns, self.changed = None, True
        self.numerics = self.numerics or diagnosis.category in NUMERICS
        bad = first_bad_step(diagnosis)
        if bad is not None and diagnosis.attempt == self.attempt:
            self.before_step = bad if self.before_step is None else min(self.before_step, bad)
        if len(self.members) < MEMBERS_KEPT:
            self.members.append(Member(diagnosis, plan.inhibited_by, began_ns))
        else:
            self.left_out += 1
        if diagnosis.category in STANDING:
            self.cost.stands(began_ns)
        self.note(began_ns, "diagnosis", f"{diagnosis.rule}: {diagnosis.summary}")

    def plan(self, diagnosis: Diagnosis, plan: Plan, told_ns: int, stands: Callable[[str], bool]) -> None:
        """Plan those actions that do not stand already, in this incident or elsewhere in the run."""
        for action in plan.then:
            if not stands(action.name):
                step = Step(len(self.steps), action, plan, diagnosis, diagnosis_ns(diagnosis), told_ns)
                step.command_id = commands.command_id(self.run, self.id, action.name, step.position)
                self.steps.append(step)

    def stands(self, action: str) -> bool:
        """Whether this action is planned, held or under way."""
        return any(step.name == action and not step.state.ended for step in self.steps)

    def quieten(self, diagnosis: str, time_ns: int) -> None:
        """A diagnosis ceased to fire."""
        if diagnosis not in self.open:
            return
        self.open.discard(diagnosis)
        self.changed = True
        for member in self.members:
            if member.diagnosis.id == diagnosis:
                member.ended_ns = time_ns
                self.note(time_ns, "resolved", f"{member.rule} fires no more")
        if not any(m.category in STANDING and m.ended_ns is None for m in self.members):
            self.cost.moves(time_ns)
        if not self.open:
            self.quiet_ns = time_ns

    def move(self, state: IncidentState, time_ns: int, why: str) -> bool:
        """Go to this state, if it is another one. Raises ForbiddenMoveError."""
        if state is self.state:
            return False
        if state not in MOVES[self.state]:
            raise ForbiddenMoveError(
                f"an incident cannot go from {self.state.value} to {state.value} ({why})"
            )
        self.state, self.changed = state, True
        if state.final:
            self.ended_ns, self.outcome = time_ns, why
        self.note(time_ns, state.value, why)
        return True

    def note(self, time_ns: int, kind: str, text: str) -> None:
        """One line of the timeline."""
        self.changed = True
        if len(self.timeline) < TIMELINE_KEPT:
            entry = {"time": cloudevents.rfc3339(time_ns), "kind": kind, "text": text}
            self.timeline.append(entry)
        else:
            self.left_out += 1

    def relates(self, member: Member, together_s: float) -> bool:
        """Whether this diagnosis is about the same trouble as one that is in."""
        return any(kinship.related(one, member, together_s) for one in self.members)

    def cause(self) -> int:
        """The place of the cause among the members."""
        return kinship.cause_of(self.members)

    def find(self, command: str) -> Step | None:
        """The step of this command."""
        return next((step for step in self.steps if step.command_id == command), None)

    def under_way(self, state: StepState) -> list[Step]:
        """The steps in this state."""
        return [step for step in self.steps if step.state is state]

    def to_json(self, gpus: int | None) -> dict[str, Any]:
        """The ``data`` of its event. ``gpus``: how many the run has; None where that is not known."""
        place = self.cause()
        ended = None if self.ended_ns is None else cloudevents.rfc3339(self.ended_ns)
        return {
            "id": self.id, "run": self.run, "run_name": self.run_name, "attempt": self.attempt,
            "state": self.state.value, "seq": self.seq, "began": cloudevents.rfc3339(self.began_ns),
            "ended": ended, "cause": self.members[place].to_json(),
            "symptoms": [m.to_json() for n, m in enumerate(self.members) if n != place],
            "timeline": self.timeline, "actions": [step.to_json() for step in self.steps],
            "outcome": self.outcome, "cost": self.cost.to_json(self.ended_ns, gpus),
            "left_out": self.left_out,
        }  # fmt: skip


def open_incident(diagnosis: Diagnosis, run_name: str | None) -> Incident:
    """A new incident that begins with this diagnosis; its id follows from it."""
    text = "\x1f".join((diagnosis.run, str(diagnosis.attempt), diagnosis.id))
    identity = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return Incident(identity, diagnosis.run, diagnosis.attempt, diagnosis_ns(diagnosis), run_name)


def diagnosis_ns(diagnosis: Diagnosis) -> int:
    """The diagnosis's time in Unix nanoseconds. Raises ValueError."""
    return cloudevents.parse_rfc3339(diagnosis.time)


def first_bad_step(diagnosis: Diagnosis) -> int | None:
    """The first step that matched, as far as the rule knows."""
    since = diagnosis.evidence.get("since_step")
    if isinstance(since, (int, float)) and not isinstance(since, bool):
        return int(since)
    return diagnosis.step
