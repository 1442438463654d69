"""Topics train.diagnoses and remediation.commands, acks, intents and control to rows.

The values come from JSON that anybody may have written, so each is checked here.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from emitter.vocabulary import cloudevents, commands, control, diagnoses
from stream.sink import tables
from stream.sink.checked import Checked, clean
from stream.sink.recent import Recent
from stream.sink.records import BadRecordError, Record
from stream.sink.rows import Rows

REPORTS: Final = "io.trainwarden.report."
"""What workers tell the arbiter has types that begin so."""


def add_diagnosis(record: Record, rows: Rows, recent: Recent) -> None:
    """One transition. Raises CloudEventError or BadRecordError."""
    take = Checked("diagnosis", vars(diagnoses.decode(record.value)))
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
    take, reason = Checked("command", vars(it)), Checked("command: reason", vars(it.reason))
    rows.add(tables.COMMANDS, (
        take.text("id"), take.text("run"), take.attempt(), take.text("action"), take.json("args"),
        clean(cloudevents.dumps(vars(it.target))), reason.text("diagnosis"), reason.text("rule"),
        reason.text("summary"), take.time("issued"), take.time("expires"), *record.source,
    ))  # fmt: skip


def add_ack(record: Record, rows: Rows, recent: Recent) -> None:
    """One state of one command on one rank. Raises CloudEventError or BadRecordError."""
    take = Checked("ack", vars(commands.decode_ack(record.value)))
    rows.add(tables.ACKS, (
        take.text("command"), take.text("run"), take.attempt(), take.rank(), take.text("executor"),
        take.text("state"), take.text("reason"), take.integer("step"), take.time("time"),
        take.number("duration"), take.json("detail"), *record.source,
    ))  # fmt: skip


_HELD: Final = "held"


class _Kind(msgspec.Struct):
    type: str = ""


_kinds = msgspec.json.Decoder(_Kind)


def add_intent(record: Record, rows: Rows, recent: Recent) -> None:
    """A line of the ledger or an incident; the workers' own reports are not history. Raises as the others."""
    try:
        kind = _kinds.decode(record.value).type
    except (msgspec.MsgspecError, UnicodeDecodeError):
        kind = ""  # decoding it as a decision says what is wrong
    if kind == cloudevents.INCIDENT:
        _add_incident(record, rows)
    elif not kind.startswith(REPORTS):
        _add_decision(record, rows)


def _add_decision(record: Record, rows: Rows) -> None:
    data = cloudevents.decode(record.value, cloudevents.INTENT)
    take, command = Checked("decision", data), data.get("command")
    if command is not None and not isinstance(command, dict):
        raise BadRecordError(f"decision: expected `command` to be an object or null, got {command!r:.200}")
    rows.add(tables.DECISIONS, (
        take.text("id"), take.text("decision"), take.text("run"), take.attempt(), take.time("time"),
        take.text("incident"), take.text("diagnosis"), take.text("rule"), take.text("rule_version"),
        take.text("action"), take.integer("position"),
        Checked("decision: command", command or {}).text("id"), take.text("reason"), take.text("run_name"),
        take.text("severity"), take.text("author"), take.text("key"),
        _detail(take, data, command), *record.source,
    ))  # fmt: skip


def _detail(take: Checked, data: dict[str, Any], command: dict[str, Any] | None) -> str:
    """What the decision was made of; of what waits for a person also all that it would do."""
    if data.get("decision") == _HELD and command is not None and isinstance(data.get("detail") or {}, dict):
        would = {name: command.get(name) for name in ("args", "target", "reason", "expires")}
        return clean(cloudevents.dumps({**(data.get("detail") or {}), "would": would}))
    return take.json("detail") if data.get("detail") is not None else ""


def _add_incident(record: Record, rows: Rows) -> None:
    data = cloudevents.decode(record.value, cloudevents.INCIDENT)
    take = Checked("incident", data)
    cause, cost = _inside(data, "cause"), _inside(data, "cost")
    seq = take.integer("seq")
    rows.add(tables.INCIDENTS, (
        take.text("id"), seq if seq is not None and 0 <= seq < 2**32 else 0, take.text("run"),
        take.text("run_name"), take.attempt(), take.text("state"), take.time("time"), take.time("began"),
        take.time("ended") if data.get("ended") is not None else None, take.text("outcome"),
        cause.text("rule"), cause.text("category"), cause.text("severity"), cause.text("summary"),
        cost.integer("lost_steps") or 0, cost.number("lost_seconds") or 0.0,
        cost.number("gpu_seconds"),
        take.json("cause"), take.array("symptoms"), take.array("timeline"), take.array("actions"),
        *record.source,
    ))  # fmt: skip


def add_control(record: Record, rows: Rows, recent: Recent) -> None:
    """One word of a person, believed or not. Raises CloudEventError."""
    said = control.decode_control(record.value)
    take = Checked("control", vars(said))
    silence = clean(cloudevents.dumps(vars(said.silence))) if said.silence is not None else ""
    run_mode = clean(cloudevents.dumps(vars(said.run_mode))) if said.run_mode is not None else ""
    rows.add(tables.CONTROL, (
        said.id, take.text("kind"), take.text("author"), take.time("time"), take.text("command"),
        take.text("reason"), silence, run_mode, *record.source,
    ))  # fmt: skip


def _inside(data: dict[str, Any], name: str) -> Checked:
    value = data.get(name)
    if not isinstance(value, dict):
        raise BadRecordError(f"incident: expected `{name}` to be an object, got {value!r:.200}")
    return Checked(f"incident: {name}", value)
