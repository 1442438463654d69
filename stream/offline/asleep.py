"""Rules that never woke up: a field they need never came."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Final, TypeAlias

from emitter.vocabulary import events
from emitter.vocabulary.metrics import BY_NAME
from stream.offline.totals import STEP, RunTotals
from stream.rulelang.errors import guess
from stream.rulelang.model import Rule, RuleSet

_NAMED: Final = 3
"""Rules that sleep for the same reason are named up to so many."""

Names: TypeAlias = "Mapping[str, Set[str]]"
"""By event, the names of the values that came with it."""


def names_of(runs: Iterable[RunTotals], lines: int = 0) -> Names:
    """The names of all these runs; so many ``lines`` of logs were read, also those that no rule matched."""
    found: dict[str, set[str]] = {}
    for totals in runs:
        for event, names in totals.names.items():
            found.setdefault(event, set()).update(names)
    if lines:
        found.setdefault(events.LOG, set())
    return found


@dataclass(frozen=True)
class Asleep:
    """Why a rule never looked at anything: its event never came (``fields`` empty), or these fields."""

    rule: str
    event: str
    fields: tuple[str, ...]


def asleep(rules: RuleSet, seen: Names, experimental: bool = False) -> list[Asleep]:
    """The rules that could not wake up in this data."""
    found = []
    for rule in rules.rules:
        if rule.maturity != "stable" and not experimental:
            continue
        names = seen.get(rule.absent.of if rule.absent is not None else rule.on)
        if names is None:
            found.append(Asleep(rule.id, rule.absent.of if rule.absent is not None else rule.on, ()))
        elif missing := tuple(name for name in _needed(rule) if name not in names):
            found.append(Asleep(rule.id, rule.on, missing))
    return found


def _needed(rule: Rule) -> list[str]:
    slots = rule.program.slots if rule.program is not None else ()
    return [
        slot.name
        for slot in slots
        if not slot.optional and (slot.place == "value" or (slot.place, slot.name) == ("event", STEP))
    ]


def told(sleepers: list[Asleep], seen: Names) -> list[str]:
    """Two lines at most: by the field that is missing where the event came, else by event."""
    by_field: dict[str, list[str]] = {}
    absent: dict[str, list[str]] = {}
    for one in sleepers:
        if one.fields:
            by_field.setdefault(one.fields[0], []).append(one.rule)
        else:
            absent.setdefault(one.event, []).append(one.rule)
    fields = [f"{name}{_near(name, seen)} for {_listed(rules)}" for name, rules in sorted(by_field.items())]
    events_told = [f"{event} for {rules_told(len(rules))}" for event, rules in sorted(absent.items())]
    lines = [f"asleep, fields that never came: {'; '.join(fields)}"] if fields else []
    return [*lines, f"asleep, events that never came: {', '.join(events_told)}"] if events_told else lines


def rules_told(count: int) -> str:
    """``1 rule``, ``2 rules``."""
    return f"{count} rule{'s' * (count != 1)}"


def _listed(rules: list[str]) -> str:
    return ", ".join(rules) if len(rules) <= _NAMED else rules_told(len(rules))


def _near(name: str, seen: Names) -> str:
    """A logged name of the user's own that looks like it."""
    logged = {*seen.get(events.STEP, ()), *seen.get(events.EVAL, ())} - {*BY_NAME, STEP}
    return guess(name, logged).replace("; did you mean ", " (near ").replace("?", ")")
