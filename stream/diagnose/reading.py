"""Reading the slots of a rule from an event: None where the record is no sample for the rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stream.events import Event, Resource
from stream.rulelang.model import Slot
from stream.rulelang.numbers import as_float

Groups = Mapping[str, str]
Read = Callable[[Event, Resource, Groups], "list[Any] | None"]


def reader(slots: Sequence[Slot]) -> Read:
    """A function that reads these slots in order."""
    if all(slot.place == "value" and slot.kind == "number" and not slot.optional for slot in slots):
        return _numbers(tuple(slot.name for slot in slots))
    plans = tuple((slot, slot.optional, _MISSING[slot.kind]) for slot in slots)

    def read(event: Event, resource: Resource, groups: Groups) -> list[Any] | None:
        found = []
        for slot, optional, missing in plans:
            value = _convert(slot, _raw(slot, event, resource, groups))
            if value is None:
                if not optional:
                    return None
                value = missing
            found.append(value)
        return found

    return read


_MISSING: dict[str, Any] = {"number": math.nan, "text": "", "has": False}


def _numbers(names: tuple[str, ...]) -> Read:
    """The common case, without the general one's cost."""

    def read(event: Event, _resource: Resource, _groups: Groups) -> list[Any] | None:
        found = []
        values = event.values
        for name in names:
            value: Any = values.get(name)
            if type(value) is not float:
                value = as_float(value)
                if value is None:
                    return None
            found.append(value)
        return found

    return read


def _raw(slot: Slot, event: Event, resource: Resource, groups: Groups) -> Any:
    if slot.place == "value":
        return event.values.get(slot.name)
    if slot.place == "group":
        return groups.get(slot.name)
    return getattr(event if slot.place == "event" else resource, slot.name)


def _convert(slot: Slot, value: Any) -> Any:
    if slot.kind == "number":
        return as_float(value)
    if slot.kind == "text":
        return value if isinstance(value, str) else None
    return True if value is not None else None
