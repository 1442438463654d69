"""Records of remediation by what they are, each once; where they were read from does not matter any more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from emitter.vocabulary import cloudevents, topics

Record = dict[str, Any]

DECISION: Final = "decision"
INCIDENT: Final = "incident"
COMMAND: Final = "command"
ACK: Final = "ack"
DIAGNOSIS: Final = "diagnosis"
WORD: Final = "word"

_KINDS: Final = {
    cloudevents.INTENT: DECISION,
    cloudevents.INCIDENT: INCIDENT,
    cloudevents.COMMAND: COMMAND,
    cloudevents.ACK: ACK,
    cloudevents.DIAGNOSIS: DIAGNOSIS,
    cloudevents.CONTROL: WORD,
}
_MARKS: Final = {kind.encode(): kind for kind in _KINDS}
TOPICS: Final = (
    topics.TRAIN_DIAGNOSES, topics.REMEDIATION_INTENTS, topics.REMEDIATION_COMMANDS, topics.REMEDIATION_ACKS,
    topics.REMEDIATION_CONTROL,
)  # fmt: skip


@dataclass
class Book:
    """Everything read so far. ``command`` of a decision is all of it where it is known, else its id."""

    decisions: dict[str, Record] = field(default_factory=dict)
    incidents: dict[str, Record] = field(default_factory=dict)
    commands: dict[str, Record] = field(default_factory=dict)
    acks: dict[tuple[Any, ...], Record] = field(default_factory=dict)
    diagnoses: dict[tuple[str, str], Record] = field(default_factory=dict)
    words: dict[str, Record] = field(default_factory=dict)

    def add(self, kind: str, data: Record) -> None:
        """Take in one record; one that is known already stays as it was, an incident gets newer."""
        if kind == DECISION:
            self.decisions.setdefault(data["id"], data)
        elif kind == INCIDENT:
            known = self.incidents.get(data["id"])
            if known is None or data.get("seq", 0) >= known.get("seq", 0):
                self.incidents[data["id"]] = data
        elif kind == COMMAND:
            self.commands[data["id"]] = data
        elif kind == ACK:
            key = (data["command"], data["attempt"], data["rank"], data["executor"], data["state"])
            self.acks.setdefault(key, data)
        elif kind == DIAGNOSIS:
            self.diagnoses.setdefault((data["id"], data["state"]), data)
        elif kind == WORD:
            self.words.setdefault(
                f"{data['time']}/{data['author']}/{data['kind']}/{data.get('command')}", data
            )

    def of_command(self, command: str) -> list[Record]:
        """The decisions about a command, in the order of time."""
        return in_time(d for d in self.decisions.values() if command_id(d) == command)

    def command(self, identity: str) -> Record | None:
        """The command as it was sent, else as it was made."""
        if identity in self.commands:
            return self.commands[identity]
        made = (d["command"] for d in self.of_command(identity) if isinstance(d.get("command"), dict))
        return next(made, None)

    def ids(self) -> Iterator[str]:
        """The ids of all commands, incidents and diagnoses."""
        yield from self.commands
        yield from self.incidents
        for decision in self.decisions.values():
            yield from (i for i in (command_id(decision), decision.get("incident")) if i)
        yield from (identity for identity, _ in self.diagnoses)


def read(payload: bytes) -> tuple[str, Record] | None:
    """The record in a CloudEvent and what it is; None for what does not belong into the ledger."""
    for mark, kind in _MARKS.items():
        if mark in payload:
            try:
                data = cloudevents.decode(payload, kind)
            except cloudevents.CloudEventError:
                continue
            return (_KINDS[kind], data) if _REQUIRED[_KINDS[kind]] <= data.keys() else None
    return None


_REQUIRED: Final = {
    DECISION: {"id", "decision", "run", "time"},
    INCIDENT: {"id", "run", "state"},
    COMMAND: {"id", "run", "action", "issued", "expires"},
    ACK: {"command", "run", "state", "time", "attempt", "rank", "executor"},
    DIAGNOSIS: {"id", "rule", "run", "state", "time"},
    WORD: {"kind", "author", "time"},
}


def command_id(decision: Record) -> str | None:
    """The id of the command that a decision is about."""
    command = decision.get("command")
    found = command.get("id") if isinstance(command, dict) else command
    return str(found) if found else None


def in_time(records: Any) -> list[Record]:
    """Records with a ``time``, in its order."""
    return sorted(records, key=lambda record: str(record["time"]))
