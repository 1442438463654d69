"""The JSON Schema of a rule file, for editors: made from the tables that the readers and the docs share."""

from __future__ import annotations

from typing import Any, Final

from emitter.vocabulary import events
from stream.rulelang import forms, keys
from stream.rulelang.fields import EVENTS
from stream.rulelang.forms import DURATION, Form, array, record
from stream.rulelang.sample_events import KEYS
from stream.rulelang.sample_series import OWN

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_SERIES: Final[Form] = {"anyOf": [{"type": ["string", "number"]}, array({"type": "string"}, least=0)]}
_POSITIONS: Final = {"step": forms.WHOLE, "line": forms.WHOLE, "at": DURATION}


def schema() -> dict[str, Any]:
    """The schema, as plain data. It knows names and forms; expressions only the loader checks."""
    return {
        "$schema": DRAFT,
        "title": "Trainwarden rule file",
        **_object(keys.PACK),
        "$defs": {
            "rule": {**_object(keys.RULE), **_together()},
            "sample": {**_object(keys.SAMPLE), "anyOf": _one_of("series", "lines", "ranks", "events")},
            "series": {"type": "object", "additionalProperties": _SERIES},
            "rank": _rank(),
            "event": _event(),
            "expected": _expected(),
        },
    }


def _object(table: tuple[keys.Key, ...]) -> dict[str, Any]:
    properties = {key.name: {**key.form, "description": _description(key)} for key in table}
    return dict(record(properties, *(key.name for key in table if key.required)))


def _description(key: keys.Key) -> str:
    return f"{key.meaning} (default: {key.default})" if key.default else key.meaning


def _one_of(*names: str) -> list[Form]:
    return [{"required": [name]} for name in names]


def _together() -> Form:
    """Which keys of a rule need or exclude each other."""
    log = {"properties": {"on": {"const": events.LOG}}, "required": ["on"]}
    return {
        "oneOf": _one_of("on", "absent"),
        "anyOf": _one_of("when", "match", "absent"),
        "dependentRequired": {"unless": ["match"], "same": ["inhibited_by"]},
        "if": {"required": ["match"]},
        "then": log,
    }


def _rank() -> Form:
    own = {name: forms.TEXTS if name == "lines" else forms.TEXT for name in OWN}
    return {"type": "object", "properties": own, "additionalProperties": _SERIES}


def _event() -> Form:
    known: dict[str, Form] = dict.fromkeys(KEYS, forms.WHOLE)
    known |= {"at": DURATION, "event": forms.SENT, "node": forms.TEXT, "role": forms.TEXT}
    value: Form = {"type": ["string", "number"]}
    names = {name: value for fields in EVENTS.values() for name in fields if name not in known}
    return {
        "type": "object",
        "properties": {**known, **names},
        "additionalProperties": value,
        "required": ["at", "event"],
    }


def _expected() -> Form:
    places = [record({name: form, "rank": forms.WHOLE}, name) for name, form in _POSITIONS.items()]
    return array({"anyOf": places}, least=0)
