"""What one series of a rule is: the values of ``by``."""

from __future__ import annotations

from typing import Any, Final

from stream.diagnose.reading import Groups
from stream.events import Event, Resource
from stream.rulelang.model import Rule

ATTRIBUTES: Final = "attributes"
"""In ``by``: all texts of an event, and the name of its metric."""


class KeyReader:
    """Reads the key of a rule's series: the values of ``by`` besides the run, in order.

    ``dynamic``: part of it comes from the event, so one emitter may feed many series of the rule.
    """

    __slots__ = ("_slots", "dynamic")

    def __init__(self, rule: Rule) -> None:
        self._slots = tuple((slot.place, slot.name) for slot in rule.keys)
        self.dynamic = any(place != "resource" for place, _ in self._slots)

    def of_resource(self, resource: Resource) -> tuple[Any, ...]:
        """The part of the key that every event of an emitter shares."""
        return tuple(getattr(resource, name) for place, name in self._slots if place == "resource")

    def shared(self, key: tuple[Any, ...]) -> tuple[Any, ...]:
        """That part of a whole key."""
        return tuple(part for part, (place, _) in zip(key, self._slots, strict=True) if place == "resource")

    def of_event(self, event: Event, resource: Resource, groups: Groups) -> tuple[Any, ...]:
        """The whole key."""
        return tuple(_part(place, name, event, resource, groups) for place, name in self._slots)


def _part(place: str, name: str, event: Event, resource: Resource, groups: Groups) -> Any:
    if place == "resource":
        return getattr(resource, name)
    if place == "event" and name == ATTRIBUTES:
        return attributes(event)
    text = groups.get(name) if place == "group" else _own(place, name, event)
    return text if isinstance(text, str) else ""


def _own(place: str, name: str, event: Event) -> Any:
    return event.values.get(name) if place == "value" else getattr(event, name)


def attributes(event: Event) -> str:
    """An event's metric and all its texts as one text."""
    texts = sorted((name, value) for name, value in event.values.items() if isinstance(value, str))
    return f"{event.metric or event.name}{{{','.join(f'{name}={value!r}' for name, value in texts)}}}"
