"""What a web hook tells: one notice for each decision or incident worth a person's attention."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

from emitter.vocabulary import cloudevents

NOTIFIED: Final = "notified"
HELD: Final = "held"
BREAKER: Final = "breaker"
FAILED: Final = "failed"
OPENED: Final = "opened"
CLOSED: Final = "closed"
EVENTS: Final = (NOTIFIED, HELD, BREAKER, FAILED, OPENED, CLOSED)
"""``notify`` of a rule; a command that waits for approval; the breaker; a failed action; both ends of an
incident."""
USUAL: Final = (NOTIFIED, HELD, BREAKER)

SUMMARY: Final = "held_back"
"""How many notices a hook did not get, and of what kind: made by ourselves, never read from a topic."""
TEST: Final = "test"

_TRIPPED: Final = "breaker_tripped"


@dataclass(frozen=True)
class Notice:
    """``id`` is the same however often it is told: the idempotency key. ``time`` is RFC 3339."""

    id: str
    event: str
    time: str
    summary: str
    run: str = ""
    run_name: str | None = None
    attempt: int = 0
    severity: str | None = None
    rule: str | None = None
    action: str | None = None
    command: str | None = None
    incident: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)
    held_back: int = 0

    @property
    def title(self) -> str:
        """A headline."""
        where = f" on {self.run_name or self.run}" if self.run else ""
        return f"{_HEADLINES[self.event].format(rule=self.rule or 'incident', action=self.action)}{where}"

    @property
    def cure(self) -> str | None:
        """What a person may type now."""
        if self.event == HELD and self.command:
            return f"trainwarden commands approve {self.command}"
        if self.event == BREAKER:
            return "trainwarden commands reset-breaker"
        return f"trainwarden incidents show {self.incident}" if self.incident else None


_HEADLINES: Final = {
    NOTIFIED: "{rule}",
    HELD: "{action} waits for approval",
    BREAKER: "The circuit breaker is open: notify only",
    FAILED: "{action} failed",
    OPENED: "Incident opened: {rule}",
    CLOSED: "Incident closed: {rule}",
    SUMMARY: "Notifications held back",
    TEST: "Test of this web hook",
}


def with_held_back(notice: Notice, count: int) -> Notice:
    """The notice, saying how many before it were held back."""
    return replace(notice, held_back=count) if count else notice


def read(payload: bytes) -> Notice | None:
    """The notice in a record of ``remediation.intents``; None where there is nothing to tell."""
    for kind, make in ((cloudevents.INTENT, _of_decision), (cloudevents.INCIDENT, _of_incident)):
        if kind.encode() in payload:
            try:
                return make(cloudevents.decode(payload, kind))
            except (cloudevents.CloudEventError, KeyError, TypeError, ValueError):
                continue
    return None


def _of_decision(data: dict[str, Any]) -> Notice | None:
    event = _event_of(str(data["decision"]))
    if event is None:
        return None
    command = data.get("command") or {}
    return Notice(
        id=str(data["id"]),
        event=event,
        time=str(data["time"]),
        summary=_summary(event, data, command),
        run=str(data.get("run") or ""),
        run_name=data.get("run_name"),
        attempt=int(data.get("attempt") or 0),
        severity=data.get("severity"),
        rule=data.get("rule"),
        action=data.get("action"),
        command=command.get("id"),
        incident=data.get("incident"),
        detail={name: command[name] for name in ("args", "target") if command.get(name)},
    )


def _event_of(decision: str) -> str | None:
    if decision == _TRIPPED:
        return BREAKER
    # Both ends of an incident are told from its own records, which know what it cost.
    return decision if decision in (NOTIFIED, HELD, FAILED) else None


def _summary(event: str, data: dict[str, Any], command: dict[str, Any]) -> str:
    """The diagnosis in words, and the decision's reason where that says something else."""
    said = str((command.get("reason") or {}).get("summary") or "")
    reason = str(data.get("reason") or "")
    if event == NOTIFIED:
        return reason or said
    return ": ".join(filter(None, (said, reason))) or event


def _of_incident(data: dict[str, Any]) -> Notice | None:
    event = CLOSED if data.get("ended") else OPENED if data.get("seq") == 1 else None
    if event is None:
        return None
    cause = data["cause"]
    return Notice(
        id=f"{data['id']}/{event}",
        event=event,
        time=str(data["time"]),
        summary=": ".join(
            filter(None, (cause.get("summary"), data.get("outcome") if event == CLOSED else None))
        ),
        run=str(data.get("run") or ""),
        run_name=data.get("run_name"),
        attempt=int(data.get("attempt") or 0),
        severity=cause.get("severity"),
        rule=cause.get("rule"),
        incident=str(data["id"]),
        detail={name: data[name] for name in ("symptoms", "actions", "cost") if data.get(name)},
    )
