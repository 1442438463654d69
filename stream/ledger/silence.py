"""The silences that hold, from what the arbiter made of people's words."""

from __future__ import annotations

from emitter.vocabulary import cloudevents
from stream.ledger.book import Book, Record, in_time


def holding(book: Book, now_ns: int) -> list[Record]:
    """``{"id", "run", "rule", "ends", "comment", "author"}`` of each, the first to end first."""
    found: dict[str, Record] = {}
    for decision in in_time(book.decisions.values()):
        quiet = (decision.get("detail") or {}).get("silence") or {}
        if decision["decision"] == "silence_began" and quiet.get("ends"):
            found[quiet["id"]] = {**quiet, "author": decision.get("author")}
        elif decision["decision"] == "silence_ended":
            found.pop(str(quiet.get("id")), None)
    held = [one for one in found.values() if cloudevents.parse_rfc3339(one["ends"]) > now_ns]
    return sorted(held, key=lambda one: str(one["ends"]))
