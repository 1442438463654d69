"""The forms that keys of a rule file may have, as JSON Schema (draft 2020-12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from emitter.vocabulary import diagnoses
from stream.rulelang import timing
from stream.rulelang.actions import ARGUMENTS, IF_UNRESOLVED
from stream.rulelang.fields import DIAGNOSIS, EVENTS
from stream.rulelang.grouping import RESOURCE

Form = Mapping[str, Any]

TEXT: Final[Form] = {"type": "string", "minLength": 1}
IDENTIFIER: Final[Form] = {"type": "string", "pattern": "^[a-z][a-z0-9]*(-[a-z0-9]+)*$"}
EXPRESSION: Final[Form] = {"type": ["string", "number"], "maxLength": 2000}
SUMMARY: Final[Form] = {"type": "string", "minLength": 1, "maxLength": 300}
_SPELT: Final[Form] = {"type": "string", "pattern": r"^([0-9]{1,9}(\.[0-9]{1,6})?(ms|s|m|h|d))+$"}
DURATION: Final[Form] = {"anyOf": [{"const": 0}, _SPELT]}
WHOLE: Final[Form] = {"type": "integer", "minimum": 0}
PERSISTENCE: Final[Form] = {"anyOf": [{"type": "integer", "minimum": 1, "maximum": timing.MAX_COUNT}, _SPELT]}
CATEGORY: Final[Form] = {
    "anyOf": [
        {"enum": sorted(diagnoses.CATEGORIES)},
        {"type": "string", "pattern": rf"^{diagnoses.CUSTOM_CATEGORY_PREFIX}".replace(".", r"\.")},
    ]
}
EVENT: Final[Form] = {"enum": list(EVENTS)}
SENT: Final[Form] = {"enum": [event for event in EVENTS if event != DIAGNOSIS]}


def array(item: Form, least: int = 1) -> Form:
    """A list of such items."""
    return {"type": "array", "items": item, "minItems": least}


def mapping(value: Form, name: str = "^[A-Za-z][A-Za-z0-9_]*$") -> Form:
    """Names of this pattern to such values."""
    return {"type": "object", "additionalProperties": value, "propertyNames": {"pattern": name}}


def record(properties: Mapping[str, Form], *required: str) -> Form:
    """These keys and no other."""
    return {
        "type": "object",
        "properties": dict(properties),
        "additionalProperties": False,
        "required": list(required),
    }


TEXTS: Final[Form] = {"anyOf": [TEXT, array(TEXT)]}
PARAMS: Final[Form] = mapping({"type": "number"})
NAMED: Final[Form] = mapping(EXPRESSION)
SAME: Final[Form] = {"anyOf": [{"enum": list(RESOURCE)}, array({"enum": list(RESOURCE)})]}
ABSENT: Final[Form] = record(
    {
        "of": SENT,
        "for": DURATION,
        "after": SENT,
        "times": {"type": "number", "minimum": 1, "maximum": timing.MAX_TIMES},
        "phases": TEXTS,
    },
    "of",
    "for",
)


def _action(name: str) -> Form:
    arguments = {word: argument.schema for word, argument in ARGUMENTS[name].items()}
    return {"anyOf": [{"type": "null"}, record({**arguments, IF_UNRESOLVED: DURATION})]}


ACTIONS_FORM: Final[Form] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {name: _action(name) for name in ARGUMENTS},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    },
}
