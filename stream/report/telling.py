"""The timeline of an incident: event, fired, decided, sent, acked, recovered. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from emitter.vocabulary import cloudevents
from stream.ledger.book import Record, command_id
from stream.report.ask import Row
from stream.report.facts import Entry, Member

MOST: Final = 200
_TONES: Final = {
    "succeeded": "good", "failed": "bad", "rejected": "bad", "expired": "bad", "aborted": "bad",
    "held": "wait", "approved": "good", "escalated": "bad", "closed": "good", "breaker_tripped": "bad",
}  # fmt: skip
_RANKS_SHOWN: Final = 8


def timeline(
    event: int, cause: Member, symptoms: Sequence[Member], decisions: Sequence[Record],
    words: Iterable[Record], commands: Iterable[Record], acks: Iterable[Row], recovered: Entry | None,
) -> list[Entry]:  # fmt: skip
    """What happened, in the order of time."""
    names = {one["id"]: one["action"] for one in commands}
    names |= {found: one["action"] for one in decisions if (found := command_id(one)) and one.get("action")}
    entries = [Entry(event, "event", _first(cause), "bad")] if event < cause.began else []
    for member in (cause, *symptoms):
        entries.append(Entry(member.began, "fired", f"{member.rule}: {member.summary}", "bad"))
        if member.ended is not None:
            entries.append(Entry(member.ended, "quiet", f"{member.rule} fires no more", "good"))
    entries += [_decided(one) for one in decisions]
    entries += [Entry(_ns(one), "said", _word(one, names), "wait") for one in words]
    entries += [_acked(one, names) for one in acks]
    entries += [recovered] if recovered is not None else []
    return sorted(entries, key=lambda entry: entry.at)


def counted(decisions: Iterable[Record]) -> dict[str, int]:
    """How often each kind of decision was made."""
    found: dict[str, int] = {}
    for one in decisions:
        found[str(one["decision"])] = found.get(str(one["decision"]), 0) + 1
    return found


def detail(ack: Mapping[str, Any]) -> Record:
    """What an acknowledgement says besides its state."""
    try:
        found = json.loads(ack["detail"] or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def facts_of(values: Mapping[str, Any]) -> str:
    """Names and values in one line."""
    shown = []
    for name, value in values.items():
        if value is not None:
            plain = value if isinstance(value, str) else f"{value:.6g}" if isinstance(value, float) else None
            shown.append(f"{name} {json.dumps(value) if plain is None else plain}")
    return ", ".join(shown)


def _first(cause: Member) -> str:
    step = cause.evidence.get("since_step")
    where = f" on rank {cause.rank}" if cause.rank is not None else ""
    return (
        f"first value that matched {cause.rule}: step {int(step):,}{where}"
        if step is not None
        else "first sign"
    )


def _decided(one: Record) -> Entry:
    kind = str(one["decision"])
    what = "sent" if kind in ("sent", "resent") else "decided"
    parts = (
        None if what == "sent" and kind == "sent" else kind, one.get("action"),
        f"by {one['author']}" if one.get("author") else None, one.get("reason"),
    )  # fmt: skip
    return Entry(_ns(one), what, ": ".join(str(part) for part in parts if part), _TONES.get(kind, ""))


def _word(one: Record, names: Mapping[str, str]) -> str:
    about = names.get(str(one.get("command")), "")
    reason = f": {one['reason']}" if one.get("reason") else ""
    return f"{one['kind']} {about} by {one['author']}{reason}"


def _acked(one: Row, names: Mapping[str, str]) -> Entry:
    parts = [f"{names.get(one['command'], 'command')} {one['state']}", _who(one)]
    if one["step"] is not None:
        parts.append(f"step {one['step']:,}")
    if one["reason"]:
        parts.append(str(one["reason"]))
    said = detail(one)
    if said and one["said"] == 1:
        parts.append(facts_of(said))
    return Entry(int(one["first"]), "acked", ", ".join(parts), _TONES.get(str(one["state"]), ""))


def _who(one: Row) -> str:
    ranks = sorted(rank for rank in one["ranks"] if rank >= 0)
    if one["said"] == 1 or len(ranks) == 1:
        return f"rank {ranks[0]}" if ranks else str(one["executor"])
    shown = ", ".join(str(rank) for rank in ranks[:_RANKS_SHOWN])
    more = "" if one["said"] <= len(ranks) else " and more"
    return f"{one['said']:,} answers, ranks {shown}{more}" if ranks else f"{one['said']:,} answers"


def _ns(record: Record) -> int:
    return cloudevents.parse_rfc3339(str(record["time"]))
