"""Topics train.diagnoses and remediation.commands, acks and intents to rows.

The values come from JSON that anybody may have written, so each is checked here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from emitter.vocabulary import cloudevents, commands, diagnoses
from stream.sink import tables
from stream.sink.recent import Recent
from stream.sink.records import NONE, BadRecordError, Record, within
from stream.sink.rows import Rows

_INT64: Final = 2**63


def add_diagnosis(record: Record, rows: Rows, recent: Recent) -> None:
    """One transition. Raises CloudEventError or BadRecordError."""
    take = _Checked("diagnosis", vars(diagnoses.decode(record.value)))
    rows.add(tables.DIAGNOSES, (
        take.text("id"), take.text("rule"), take.text("category"), take.text("severity"), take.text("state"),
        take.text("run"), take.attempt(), take.rank(), take.text("node"), take.text("role"),
        take.time("time"), take.integer("step"), take.number("epoch"), take.text("file"),
        take.integer("line"), take.text("rule_version"), take.text("summary"), take.json("evidence"),
        take.texts("suggestions"), take.texts("then"), *record.source,
    ))  # fmt: skip


def add_command(record: Record, rows: Rows, recent: Recent) -> None:
    """One command. Raises CloudEventError or BadRecordError."""
    it = commands.decode_command(record.value)
    take, reason = _Checked("command", vars(it)), _Checked("command: reason", vars(it.reason))
    rows.add(tables.COMMANDS, (
        take.text("id"), take.text("run"), take.attempt(), take.text("action"), take.json("args"),
        clean(cloudevents.dumps(vars(it.target))), reason.text("diagnosis"), reason.text("rule"),
        reason.text("summary"), take.time("issued"), take.time("expires"), *record.source,
    ))  # fmt: skip


def add_ack(record: Record, rows: Rows, recent: Recent) -> None:
    """One state of one command on one rank. Raises CloudEventError or BadRecordError."""
    take = _Checked("ack", vars(commands.decode_ack(record.value)))
    rows.add(tables.ACKS, (
        take.text("command"), take.text("run"), take.attempt(), take.rank(), take.text("executor"),
        take.text("state"), take.text("reason"), take.integer("step"), take.time("time"),
        take.number("duration"), take.json("detail"), *record.source,
    ))  # fmt: skip


def add_decision(record: Record, rows: Rows, recent: Recent) -> None:
    """One line of the ledger. Raises CloudEventError or BadRecordError."""
    data = cloudevents.decode(record.value, cloudevents.INTENT)
    take, command = _Checked("decision", data), data.get("command")
    if command is not None and not isinstance(command, dict):
        raise BadRecordError(f"decision: expected `command` to be an object or null, got {command!r:.200}")
    rows.add(tables.DECISIONS, (
        take.text("id"), take.text("decision"), take.text("run"), take.attempt(), take.time("time"),
        take.text("incident"), take.text("diagnosis"), take.text("rule"), take.text("rule_version"),
        take.text("action"), take.integer("position"),
        _Checked("decision: command", command or {}).text("id"),
        take.text("reason"), *record.source,
    ))  # fmt: skip


def clean(text: str) -> str:
    """The text with what UTF-8 cannot hold (half of a surrogate pair in JSON) as question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


class _Checked:
    """Fields of a decoded message, each of the type it must have; a missing one is null."""

    def __init__(self, kind: str, fields: Mapping[str, Any]) -> None:
        self.kind, self.fields = kind, fields

    def _wrong(self, name: str, expected: str) -> BadRecordError:
        value = self.fields.get(name)
        return BadRecordError(f"{self.kind}: expected `{name}` to be {expected}, got {value!r:.200}")

    def text(self, name: str) -> str:
        value = self.fields.get(name)
        if value is not None and not isinstance(value, str):
            raise self._wrong(name, "a string")
        return clean(value or "")

    def texts(self, name: str) -> list[str]:
        value = self.fields.get(name)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(name, "a list of strings")
        return [clean(item) for item in value]

    def json(self, name: str) -> str:
        value = self.fields.get(name)
        if not isinstance(value, dict):
            raise self._wrong(name, "an object")
        return clean(cloudevents.dumps(value))

    def integer(self, name: str) -> int | None:
        value = self.fields.get(name)
        if value is not None and (type(value) is not int or not -_INT64 <= value < _INT64):
            raise self._wrong(name, "a 64-bit integer or null")
        return value if value is None else int(value)

    def attempt(self) -> int:
        value = within(self.integer("attempt"), 0, 65_535, NONE)
        if value == NONE:
            raise self._wrong("attempt", "an integer from 0 to 65535")
        return value

    def rank(self) -> int:
        return within(self.integer("rank"), 0, 2**31 - 1, NONE)

    def number(self, name: str) -> float | None:
        value = self.fields.get(name)
        if value is None:
            return None
        # Our JSON spells NaN and infinities as strings.
        if isinstance(value, bool) or not (isinstance(value, (int, float)) or value in _SPELLED):
            raise self._wrong(name, "a number or null")
        try:
            return float(value)
        except OverflowError:
            raise self._wrong(name, "a 64-bit number or null") from None

    def time(self, name: str) -> int:
        value: Any = self.fields.get(name)
        try:
            return cloudevents.parse_rfc3339(value)
        except (ValueError, TypeError, AttributeError, OverflowError):
            raise self._wrong(name, "a time like 2026-01-01T00:00:00.000000Z") from None


_SPELLED: Final = ("NaN", "Infinity", "-Infinity")
