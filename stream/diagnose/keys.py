"""What one series of a rule is: the values of ``by``."""

from __future__ import annotations

from typing import Any, Final

from stream.diagnose.reading import Groups
from stream.events import Event, Resource
from stream.rulelang.model import Rule, Slot

RUN: Final = "run"
ATTRIBUTES: Final = "attributes"
"""In ``by``: all texts of an event, and the name of its metric."""
_OF_RESOURCE: Final = ("role", "rank", "node")


class KeyReader:
    """Reads the key of a rule's series: the values of ``by`` besides the run, in order.

    ``dynamic``: part of it comes from the event, so one emitter may feed many series of the rule.
    """

    __slots__ = ("_slots", "dynamic")

    def __init__(self, rule: Rule) -> None:
        named = [word for word in rule.by if word != RUN]
        slots = rule.keys if len(rule.keys) == len(named) else _slots(named, rule.keys)
        self._slots = tuple((slot.place, slot.name) for slot in slots)
        self.dynamic = any(place != "resource" for place, _ in self._slots)

    def of_resource(self, resource: Resource) -> tuple[Any, ...]:
        """The part of the key that every event of an emitter shares."""
        return tuple(getattr(resource, name) for place, name in self._slots if place == "resource")

    def of_event(self, event: Event, resource: Resource, groups: Groups) -> tuple[Any, ...]:
        """The whole key."""
        return tuple(_part(place, name, event, resource, groups) for place, name in self._slots)


def _slots(named: list[str], texts: tuple[Slot, ...]) -> list[Slot]:
    """Slots for ``by`` where the rule brings only those of the event's own texts."""
    known = {slot.name: slot for slot in texts}
    return [
        Slot("resource", word, "text")
        if word in _OF_RESOURCE
        else known.get(word, Slot("value", word, "text"))
        for word in named
    ]


def _part(place: str, name: str, event: Event, resource: Resource, groups: Groups) -> Any:
    if name == ATTRIBUTES:
        return attributes(event)
    if place == "resource":
        return getattr(resource, name)
    if place == "group":
        return groups.get(name)
    return event.values.get(name) if place == "value" else getattr(event, name)


def attributes(event: Event) -> str:
    """An event's metric and all its texts as one text."""
    texts = sorted((name, value) for name, value in event.values.items() if isinstance(value, str))
    return f"{event.metric or event.name}{{{','.join(f'{name}={value!r}' for name, value in texts)}}}"
