"""Questions to the ledger: what became of this command, why was it decided, what waits for a person."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from stream.ledger.book import Book, Record, command_id, in_time
from stream.ledger.errors import AmbiguousIdError, UnknownIdError

SHORTEST: Final = 6
"""Characters of an id that will do, where no other begins like it."""
_CURE: Final = "`trainwarden incidents list` and `trainwarden commands watch` show those that are known"


@dataclass(frozen=True)
class Entry:
    """One line of a timeline. ``time`` is RFC 3339; ``kind`` says which record it comes from."""

    time: str
    kind: str
    what: str
    text: str


@dataclass(frozen=True)
class Story:
    """All that is known about one id; ``kind`` is command, incident or diagnosis."""

    id: str
    kind: str
    commands: list[Record] = field(default_factory=list)
    incidents: list[Record] = field(default_factory=list)
    diagnoses: list[Record] = field(default_factory=list)
    decisions: list[Record] = field(default_factory=list)
    acks: list[Record] = field(default_factory=list)
    words: list[Record] = field(default_factory=list)

    def to_json(self) -> Record:
        """Everything, and the timeline."""
        return {**asdict(self), "timeline": [asdict(entry) for entry in self.timeline()]}

    def timeline(self) -> list[Entry]:
        """What happened, in the order of time."""
        # Of one moment: first what was seen, then what was decided about it.
        entries = [
            *(
                Entry(d["time"], "diagnosis", d["state"], f"{d['rule']}: {d['summary']}")
                for d in self.diagnoses
            ),
            *(Entry(w["time"], "word", w["kind"], _word(w)) for w in self.words),
            *(Entry(d["time"], "decision", d["decision"], _decision(d)) for d in self.decisions),
            *(Entry(a["time"], "ack", a["state"], _ack(a)) for a in self.acks),
        ]
        return sorted(entries, key=lambda entry: entry.time)


def resolve(
    book: Book, wanted: str, what: str = "command, incident or diagnosis", among: Iterable[str] | None = None
) -> str:
    """The whole id of a beginning of it. Raises UnknownIdError, AmbiguousIdError."""
    known = set(book.ids() if among is None else among)
    if wanted in known:
        return wanted
    found = sorted(one for one in known if len(wanted) >= SHORTEST and one.startswith(wanted))
    if len(found) > 1:
        raise AmbiguousIdError(wanted, found)
    if not found:
        raise UnknownIdError(what, wanted, known, _CURE)
    return found[0]


def tell(book: Book, wanted: str) -> Story:
    """The story of a command, an incident or a diagnosis. Raises UnknownIdError, AmbiguousIdError."""
    identity = resolve(book, wanted)
    commands, incidents, diagnoses = _related(book, identity)
    decisions = [
        d
        for d in book.decisions.values()
        if command_id(d) in commands
        or d.get("incident") in incidents
        or d.get("diagnosis") in diagnoses
        or (d.get("detail") or {}).get("command") in commands
    ]
    known = [book.command(one) for one in sorted(commands)]
    return Story(
        id=identity,
        kind=_kind(book, identity),
        commands=[command for command in known if command is not None],
        incidents=[book.incidents[one] for one in sorted(incidents) if one in book.incidents],
        diagnoses=in_time(d for (one, _), d in book.diagnoses.items() if one in diagnoses),
        decisions=in_time(decisions),
        acks=in_time(a for a in book.acks.values() if a["command"] in commands),
        words=in_time(w for w in book.words.values() if w.get("command") in commands),
    )


def _kind(book: Book, identity: str) -> str:
    if any(identity == one for one, _ in book.diagnoses):
        return "diagnosis"
    return "command" if book.command(identity) or book.of_command(identity) else "incident"


def _related(book: Book, identity: str) -> tuple[set[str], set[str], set[str]]:
    """Commands, incidents and diagnoses that belong to this id."""
    commands, incidents, diagnoses = {identity}, {identity}, {identity}
    whole_incident = _kind(book, identity) == "incident"
    for decision in book.decisions.values():
        command, incident, diagnosis = (
            command_id(decision),
            decision.get("incident"),
            decision.get("diagnosis"),
        )
        if identity in (command, incident, diagnosis):
            incidents |= {incident} if incident else set()
            diagnoses |= {diagnosis} if diagnosis else set()
            if command and (whole_incident or diagnosis == identity):
                commands.add(command)
    reasons = [c.get("reason") for c in (book.command(one) for one in commands) if c is not None]
    diagnoses |= {r["diagnosis"] for r in reasons if isinstance(r, dict) and r.get("diagnosis")}
    if not whole_incident:
        # A command's story is its own, not that of all that was done in its incident.
        incidents = {one for one in incidents if one in book.incidents} - {identity}
        return commands, incidents, diagnoses
    for member in _members(book.incidents.get(identity)):
        diagnoses.add(str(member.get("diagnosis")))
    return commands, incidents, diagnoses


def _members(incident: Record | None) -> list[Record]:
    if incident is None:
        return []
    return [
        one for one in (incident.get("cause"), *(incident.get("symptoms") or [])) if isinstance(one, dict)
    ]


_ORDER: Final = {
    "held": 0, "approved": 1, "sent": 2, "resent": 3, "succeeded": 4, "failed": 4, "expired": 4,
    "rejected": 4, "withdrawn": 4, "shadow": 4, "cooldown": 4, "budget": 4, "silenced": 4,
    "suppressed": 4, "notified": 4,
}  # fmt: skip
"""How far a decision takes a command. Times alone do not tell: approvals are stamped by another clock."""


def standing(book: Book, command: str) -> Record | None:
    """The newest decision about a command."""
    found = [d for d in book.of_command(command) if d["decision"] in _ORDER]
    return max(found, key=lambda d: (_ORDER[d["decision"]], d["time"]), default=None)


def held(book: Book) -> list[Record]:
    """The decisions to hold a command that still waits for a person, the oldest first."""
    commands = {c for d in book.decisions.values() if d["decision"] == "held" and (c := command_id(d))}
    newest = (standing(book, command) for command in commands)
    return in_time(d for d in newest if d is not None and d["decision"] == "held")


def _word(word: Record) -> str:
    reason = f": {word['reason']}" if word.get("reason") else ""
    return f"by {word['author']}{reason}"


def _decision(decision: Record) -> str:
    author = f"by {decision['author']}" if decision.get("author") else None
    return ", ".join(filter(None, (decision.get("action"), author, decision.get("reason"))))


def _ack(ack: Record) -> str:
    who = ack["executor"] if ack["rank"] is None else f"rank {ack['rank']}"
    parts: list[Any] = [
        who,
        f"step {ack['step']}" if ack.get("step") is not None else None,
        ack.get("reason"),
    ]
    detail = ack.get("detail")
    parts.append(str(detail) if detail else None)
    return ", ".join(filter(None, parts))
