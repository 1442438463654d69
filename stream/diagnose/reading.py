"""Reading the slots of a rule from an event: None where the record is no sample for the rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from stream.events import Event, Resource
from stream.rulelang.model import Slot
from stream.rulelang.numbers import as_float

Groups = Mapping[str, str]
NO_GROUPS: Final[Groups] = {}
Read = Callable[[Event, Resource, Groups], "list[Any] | None"]


def reader(slots: Sequence[Slot]) -> Read:
    """A function that reads these slots in order."""
    if all(slot.place == "value" and slot.kind == "number" and not slot.optional for slot in slots):
        return _numbers(tuple(slot.name for slot in slots))
    plans = tuple(
        (slot.place, slot.name, CONVERT[slot.kind], slot.optional, MISSING[slot.kind]) for slot in slots
    )

    def read(event: Event, resource: Resource, groups: Groups) -> list[Any] | None:
        found = []
        values = event.values
        for place, name, convert, optional, missing in plans:
            given = values.get(name) if place == "value" else raw(place, name, event, resource, groups)
            value = convert(given)
            if value is None:
                if not optional:
                    return None
                value = missing
            found.append(value)
        return found

    return read


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


def raw(place: str, name: str, event: Event, resource: Resource, groups: Groups) -> Any:
    """What stands in a place besides the event's values."""
    if place == "group":
        return groups.get(name)
    return getattr(event if place == "event" else resource, name)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _has(value: Any) -> bool:
    return value is not None


CONVERT: Final[Mapping[str, Callable[[Any], Any]]] = {"number": as_float, "text": _text, "has": _has}
NO_NUMBER: Final = float("nan")
"""The very object that stands for an optional number that is not there."""

MISSING: Final[Mapping[str, Any]] = {"number": NO_NUMBER, "text": "", "has": False}
