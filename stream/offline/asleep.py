"""Rules that never woke up: a field they need never came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from emitter.vocabulary import events
from stream.events import Value
from stream.rulelang.errors import guess
from stream.rulelang.model import Rule, RuleSet

_STEP = "step"


class Seen:
    """The events of a group, each with the names of the numbers that came with it."""

    def __init__(self) -> None:
        self.names: dict[str, set[str]] = {}

    def see(self, event: str, values: Mapping[str, Value], has_step: bool) -> None:
        """Remember what came."""
        names = self.names.get(event)
        if names is None:
            names = self.names[event] = set()
        names.update(values)
        if has_step:
            names.add(_STEP)


@dataclass(frozen=True)
class Asleep:
    """Why a rule never looked at anything: its event never came (``fields`` empty), or these fields."""

    rule: str
    event: str
    fields: tuple[str, ...]


def asleep(rules: RuleSet, seen: Seen, experimental: bool = False) -> list[Asleep]:
    """The rules that could not wake up in this data."""
    found = []
    for rule in rules.rules:
        if rule.program is None or (rule.maturity != "stable" and not experimental):
            continue
        names = seen.names.get(rule.on)
        if names is None:
            found.append(Asleep(rule.id, rule.on, ()))
        elif missing := tuple(name for name in _needed(rule) if name not in names):
            found.append(Asleep(rule.id, rule.on, missing))
    return found


def _needed(rule: Rule) -> list[str]:
    slots = rule.program.slots if rule.program is not None else ()
    return [
        slot.name
        for slot in slots
        if not slot.optional and (slot.place == "value" or (slot.place, slot.name) == ("event", _STEP))
    ]


def told(sleepers: list[Asleep], seen: Seen) -> list[str]:
    """A few lines about them: by the field that is missing where the event came, else by event."""
    by_field: dict[str, list[str]] = {}
    absent: dict[str, int] = {}
    for one in sleepers:
        if one.fields:
            by_field.setdefault(one.fields[0], []).append(one.rule)
        else:
            absent[one.event] = absent.get(one.event, 0) + 1
    lines = [
        f"asleep, no `{name}` in the data{_near(name, seen)}: {', '.join(rules)}"
        for name, rules in sorted(by_field.items())
    ]
    if absent:
        events_told = ", ".join(f"{event} ({count} rules)" for event, count in sorted(absent.items()))
        lines.append(f"asleep, no such events: {events_told}")
    return lines


def _near(name: str, seen: Seen) -> str:
    logged = {*seen.names.get(events.STEP, ()), *seen.names.get(events.EVAL, ())}
    return guess(name, logged).replace("; did you mean ", " (near: ").replace("?", ")")
