"""From the fields of a dataclass to a JSON Schema."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any, Final

Form = dict[str, Any]

_PLAIN: Final[dict[Any, Form]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    dict: {"type": "object"},
    list: {"type": "array"},
    type(None): {"type": "null"},
    Any: {},
    # JSON has no such numbers: ours are strings then.
    float: {"anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]},
}
TIME: Final[Form] = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$",
}


def of_dataclass(kind: type[Any], /, **instead: Form) -> Form:
    """An object with the fields of this dataclass; those without a default are required.

    ``instead`` are forms of fields that say more than their type. Unknown keys are allowed: fields get added.
    """
    hints = typing.get_type_hints(kind)
    fields = dataclasses.fields(kind)
    properties = {field.name: instead.get(field.name) or of_type(hints[field.name]) for field in fields}
    required = [field.name for field in fields if _always(field)]
    form: Form = {"type": "object", "description": first_line(kind), "properties": properties}
    return {**form, "required": required} if required else form


def of_type(hint: Any) -> Form:
    """The form of a type hint. TypeError for one that is not known here."""
    if hint in _PLAIN:
        return dict(_PLAIN[hint])
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [of_type(one) for one in arguments]}
    if origin is list:
        return {"type": "array", "items": of_type(arguments[0])}
    if origin is dict:
        return {"type": "object"}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return of_dataclass(hint)
    raise TypeError(f"no JSON Schema is known for {hint!r}")


def or_null(form: Form) -> Form:
    """The form, or null."""
    return {"anyOf": [form, {"type": "null"}]}


def first_line(kind: type[Any]) -> str:
    """What a docstring begins with."""
    return (kind.__doc__ or "").strip().split("\n")[0]


def _always(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
