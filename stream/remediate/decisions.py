"""Decisions: the ledger of remediation, line by line, and the records they become."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from emitter.vocabulary import cloudevents, topics
from emitter.vocabulary.commands import Command
from stream.records import Headers, Outgoing
from stream.remediate.incidents import Incident
from stream.remediate.steps import Step

Sign: TypeAlias = Callable[[bytes], Headers]
"""The headers that sign these bytes."""

OPENED: Final = "opened"
CLOSED: Final = "closed"
IGNORED: Final = "ignored"
"""A diagnosis that nothing is done about, and why."""
SENT: Final = "sent"
RESENT: Final = "resent"
HELD: Final = "held"
"""Waits for a person's approval."""
APPROVED: Final = "approved"
REJECTED: Final = "rejected"
SHADOW: Final = "shadow"
"""What would have been sent."""
COOLDOWN: Final = "cooldown"
BUDGET: Final = "budget"
SILENCED: Final = "silenced"
SUPPRESSED: Final = "suppressed"
"""Not done, because the circuit breaker is open."""
NOTIFIED: Final = "notified"
"""This record is the notification; nothing goes to the trainer."""
SUCCEEDED: Final = "succeeded"
FAILED: Final = "failed"
EXPIRED: Final = "expired"
WITHDRAWN: Final = "withdrawn"
ESCALATED: Final = "escalated"
BREAKER_TRIPPED: Final = "breaker_tripped"
BREAKER_RESET: Final = "breaker_reset"
SILENCE_BEGAN: Final = "silence_began"
SILENCE_ENDED: Final = "silence_ended"
MODE_SET: Final = "mode_set"
"""Of runs, by a person's word."""
REFUSED: Final = "refused"
"""A word on remediation.control that is not believed, or comes too late."""
POLICY: Final = "policy"
"""Another policy is in force from here on."""

DECISIONS: Final = (
    OPENED, CLOSED, IGNORED, SENT, RESENT, HELD, APPROVED, REJECTED, SHADOW, COOLDOWN, BUDGET, SILENCED,
    SUPPRESSED, NOTIFIED, SUCCEEDED, FAILED, EXPIRED, WITHDRAWN, ESCALATED, BREAKER_TRIPPED, BREAKER_RESET,
    SILENCE_BEGAN, SILENCE_ENDED, MODE_SET, REFUSED, POLICY,
)  # fmt: skip


@dataclass(frozen=True)
class Decision:
    """One line of the ledger. ``author`` and ``key``: the person, and the key that signed; else None.

    ``command`` is there where one was made. ``detail``: what else the decision was made of.
    """

    id: str
    decision: str
    run: str
    attempt: int
    time_ns: int
    run_name: str | None = None
    reason: str | None = None
    severity: str | None = None
    incident: str | None = None
    diagnosis: str | None = None
    rule: str | None = None
    rule_version: str | None = None
    action: str | None = None
    position: int | None = None
    command: Command | None = None
    author: str | None = None
    key: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The ``data`` of the intent."""
        data = {name: getattr(self, name) for name in self.__dataclass_fields__}
        data["time"] = cloudevents.rfc3339(data.pop("time_ns"))
        data["command"] = self.command.to_json() if self.command is not None else None
        return data


def of_step(
    decision: str, incident: Incident, step: Step, time_ns: int, reason: str | None = None, **more: Any
) -> Decision:
    """A decision about one planned action."""
    again = f"/{step.times_sent}" if decision == RESENT else ""
    return Decision(
        id=f"{step.command_id}/{decision}{again}",
        decision=decision,
        run=incident.run,
        attempt=step.attempt,
        time_ns=time_ns,
        run_name=incident.run_name,
        reason=reason,
        severity=step.diagnosis.severity,
        incident=incident.id,
        diagnosis=step.diagnosis.id,
        rule=step.diagnosis.rule,
        rule_version=step.diagnosis.rule_version,
        action=step.name,
        position=step.position,
        command=step.command,
        **more,
    )


def of_incident(
    decision: str, incident: Incident, time_ns: int, reason: str | None = None, again: str = ""
) -> Decision:
    """A decision about a whole incident, by its cause."""
    cause = incident.members[incident.cause()].diagnosis
    return Decision(
        id=f"{incident.id}/{decision}{again}",
        decision=decision,
        run=incident.run,
        attempt=incident.attempt,
        time_ns=time_ns,
        run_name=incident.run_name,
        reason=reason,
        severity=cause.severity,
        incident=incident.id,
        diagnosis=cause.id,
        rule=cause.rule,
        rule_version=cause.rule_version,
    )


def record(decision: Decision) -> Outgoing:
    """The record of a decision on ``remediation.intents``."""
    value = cloudevents.encode(
        cloudevents.INTENT,
        decision.id,
        decision.run,
        cloudevents.rfc3339(decision.time_ns),
        decision.to_json(),
    )
    return Outgoing(topics.REMEDIATION_INTENTS, value, _key(decision.run), headers=cloudevents.HEADERS)


def incident_record(incident: Incident, time_ns: int, gpus: int | None) -> Outgoing:
    """The record of an incident as it stands; each one has the next number."""
    incident.seq += 1
    incident.changed = False
    time = cloudevents.rfc3339(time_ns)
    data = {**incident.to_json(gpus), "time": time}
    value = cloudevents.encode(
        cloudevents.INCIDENT, f"{incident.id}/{incident.seq}", incident.run, time, data
    )
    return Outgoing(topics.REMEDIATION_INTENTS, value, _key(incident.run), headers=cloudevents.HEADERS)


def _key(run: str) -> bytes | None:
    return run.encode() or None
