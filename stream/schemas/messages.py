"""Each message that we publish as JSON: its CloudEvent type, its topic and the schema of the whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from emitter.vocabulary import arguments, cloudevents, commands, control, diagnoses, topics
from stream.remediate.decisions import DECISIONS, Decision
from stream.remediate.incidents import IncidentState
from stream.schemas.forms import TIME, Form, of_dataclass, of_type, or_null

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True)
class Message:
    """One kind of message; ``data`` is the schema of what the envelope holds."""

    name: str
    kind: str
    topic: str
    summary: str
    data: Form
    signed: bool = False

    def schema(self) -> Form:
        """The whole CloudEvent."""
        return {
            "$schema": DRAFT,
            "title": self.name,
            "description": self.summary,
            "type": "object",
            "properties": {
                "specversion": {"const": "1.0"},
                "id": {"type": "string", "minLength": 1},
                "source": {"const": cloudevents.SOURCE},
                "type": {"const": self.kind},
                "subject": {"type": "string"},
                "time": TIME,
                "datacontenttype": {"const": "application/json"},
                "data": self.data,
            },
            "required": ["specversion", "id", "source", "type", "time", "data"],
        }


def all_messages() -> list[Message]:
    """In the order in which they follow from each other."""
    return [
        Message("diagnosis", cloudevents.DIAGNOSIS, topics.TRAIN_DIAGNOSES,
                "A rule began to fire, or ceased to.", _diagnosis()),
        Message("incident", cloudevents.INCIDENT, topics.REMEDIATION_INTENTS,
                "Diagnoses of a run that belong together, as they stand; `seq` counts up.", _incident()),
        Message("intent", cloudevents.INTENT, topics.REMEDIATION_INTENTS,
                "One line of the ledger: what was decided, and why.", _intent()),
        Message("control", cloudevents.CONTROL, topics.REMEDIATION_CONTROL,
                "What a person says, signed by an operator's key.", _control(), signed=True),
        Message("command", cloudevents.COMMAND, topics.REMEDIATION_COMMANDS,
                "An instruction to a trainer, signed.", _command(), signed=True),
        Message("ack", cloudevents.ACK, topics.REMEDIATION_ACKS,
                "What became of a command on one rank, stage by stage.", _ack()),
    ]  # fmt: skip


def _diagnosis() -> Form:
    return of_dataclass(
        diagnoses.Diagnosis, time=TIME, state={"enum": list(diagnoses.STATES)},
        severity={"enum": list(diagnoses.SEVERITIES)},
    )  # fmt: skip


def _command() -> Form:
    ranks: Form = {"anyOf": [{"const": "all"}, {"type": "array", "items": {"type": "integer"}}]}
    form = of_dataclass(
        commands.Command, issued=TIME, expires=TIME, target=of_dataclass(commands.Target, ranks=ranks)
    )
    form["properties"]["action"]["examples"] = list(commands.ACTIONS)
    form["allOf"] = [
        {
            "if": {"properties": {"action": {"const": action}}},
            "then": {"properties": {"args": {"properties": _bounds(action)}}},
        }
        for action in arguments.BOUNDS
    ]
    return form


def _bounds(action: str) -> Form:
    return {name: dict(bound.schema) for name, bound in arguments.BOUNDS[action].items()}


def _ack() -> Form:
    form = of_dataclass(commands.Ack, time=TIME, state={"enum": list(commands.ACK_STATES)})
    form["properties"]["executor"]["pattern"] = "^(emitter|supervisor|actor:.+)$"
    return form


def _control() -> Form:
    silence = of_dataclass(control.Silence, ends=or_null(TIME))
    modes: Form = {"anyOf": [{"enum": list(control.MODES)}, {"type": "null"}]}
    run_mode = of_dataclass(control.RunMode, mode=modes, ends=or_null(TIME))
    return of_dataclass(
        control.Control, time=TIME, kind={"enum": list(control.KINDS)}, silence=or_null(silence),
        run_mode=or_null(run_mode),
    )  # fmt: skip


def _intent() -> Form:
    form = of_dataclass(Decision, decision={"enum": list(DECISIONS)}, command=or_null(_command()))
    properties: Form = form["properties"]
    del properties["time_ns"]
    properties["time"] = TIME
    form["required"] = ["time" if name == "time_ns" else name for name in form["required"]]
    return form


def _incident() -> Form:
    member = _object(
        diagnosis=str, rule=str, rule_version=str | None, category=str, severity=str, attempt=int,
        rank=int | None, node=str | None, step=int | None, summary=str, evidence=dict,
        began=TIME, ended=or_null(TIME),
    )  # fmt: skip
    lines: Form = {"type": "array", "items": {"type": "object"}}
    return _object(
        id=str, run=str, run_name=str | None, attempt=int,
        state={"enum": [state.value for state in IncidentState]},
        seq=int, time=TIME, began=TIME, ended=or_null(TIME), cause=member,
        symptoms={"type": "array", "items": member}, timeline=lines, actions=lines, outcome=str | None,
        cost={"type": "object"}, left_out=int,
    )  # fmt: skip


def _object(**fields: Any) -> Form:
    """All fields are required."""
    properties = {name: hint if isinstance(hint, dict) else of_type(hint) for name, hint in fields.items()}
    return {"type": "object", "properties": properties, "required": list(fields)}
