"""Decisions of the policy, and the records they become."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from emitter.vocabulary import cloudevents, topics
from emitter.vocabulary.commands import Command
from stream.records import Headers, Outgoing
from stream.remediate.incidents import Incident, Step

OPENED: Final = "opened"
CLOSED: Final = "closed"
IGNORED: Final = "ignored"
"""A diagnosis that nothing is done about, and why."""
SENT: Final = "sent"
RESENT: Final = "resent"
HELD: Final = "held"
"""Waits for a person's approval."""
SHADOW: Final = "shadow"
"""What would have been sent."""
COOLDOWN: Final = "cooldown"
NOTIFIED: Final = "notified"
"""``notify``: this record is the notification; nothing goes to the trainer."""
SUCCEEDED: Final = "succeeded"
FAILED: Final = "failed"
EXPIRED: Final = "expired"
WITHDRAWN: Final = "withdrawn"

NO_KEY: Final = "no signing key; make one with `trainwarden keys new`, or name one in TRAINWARDEN_SIGNING_KEY"

Sign = Callable[[bytes], Headers]
"""The headers that make a message believed."""


@dataclass(frozen=True)
class Decision:
    """One line of the ledger on ``remediation.intents``; ``command`` is there where one was made."""

    id: str
    decision: str
    run: str
    attempt: int
    time_ns: int
    reason: str | None = None
    incident: str | None = None
    diagnosis: str | None = None
    rule: str | None = None
    rule_version: str | None = None
    action: str | None = None
    position: int | None = None
    command: Command | None = None

    def to_json(self) -> dict[str, Any]:
        """The ``data`` of the intent."""
        data = {name: getattr(self, name) for name in self.__dataclass_fields__}
        data["time"] = cloudevents.rfc3339(data.pop("time_ns"))
        data["command"] = self.command.to_json() if self.command is not None else None
        return data


def of_step(
    decision: str, incident: Incident, step: Step, time_ns: int, reason: str | None = None
) -> Decision:
    """A decision about one planned action."""
    again = f"/{step.times_sent}" if decision == RESENT else ""
    return Decision(
        id=f"{incident.command_id(step)}/{decision}{again}",
        decision=decision,
        run=incident.run,
        attempt=incident.attempt,
        time_ns=time_ns,
        reason=reason,
        incident=incident.id,
        diagnosis=step.diagnosis.id,
        rule=step.rule.id,
        rule_version=step.diagnosis.rule_version,
        action=step.action.name,
        position=step.position,
        command=step.command,
    )


def of_incident(decision: str, incident: Incident, time_ns: int, reason: str | None = None) -> Decision:
    """A decision about a whole incident."""
    return Decision(
        id=f"{incident.id}/{decision}",
        decision=decision,
        run=incident.run,
        attempt=incident.attempt,
        time_ns=time_ns,
        reason=reason,
        incident=incident.id,
    )


def records(decision: Decision, sign: Sign | None) -> list[Outgoing]:
    """The command, where one is to be sent, then the decision itself. Without a key nothing is sent."""
    sends = decision.decision in (SENT, RESENT) and decision.command is not None
    if sends and sign is None:
        decision = replace(decision, id=f"{decision.id}/{HELD}", decision=HELD, reason=NO_KEY)
    intent = cloudevents.encode(
        cloudevents.INTENT,
        decision.id,
        decision.run,
        cloudevents.rfc3339(decision.time_ns),
        decision.to_json(),
    )
    key = decision.run.encode()
    ledger = Outgoing(topics.REMEDIATION_INTENTS, intent, key, headers=cloudevents.HEADERS)
    if not sends or sign is None or decision.command is None:
        return [ledger]
    command = decision.command.encode()
    headers = [*cloudevents.HEADERS, *sign(command)]
    return [Outgoing(topics.REMEDIATION_COMMANDS, command, key, headers=headers), ledger]
