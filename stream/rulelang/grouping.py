"""What one series of a rule is: ``by``, and where causes count: ``same``."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from emitter.vocabulary import events
from stream.rulelang import fields
from stream.rulelang.errors import guess, one_of
from stream.rulelang.functions import TEXT
from stream.rulelang.model import Absent, Program, Slot
from stream.rulelang.reader import Reader

RESOURCE: Final = ("run", "role", "rank", "node")
ATTRIBUTES: Final = "attributes"
"""In ``by``: the metric's name and all attributes of its point."""
DEFAULT: Final = ("run", "role", "rank")
DEFAULT_OF_METRIC: Final = ("run", "role", "rank", "node", ATTRIBUTES)


def read_by(
    reader: Reader, event: str, absent: Absent | None, groups: Collection[str], program: Program | None
) -> tuple[tuple[str, ...], tuple[Slot, ...]]:
    """``by``, and the slots of all it names besides the run, in that order."""
    words = reader.texts("by")
    default = DEFAULT_OF_METRIC if event == events.METRIC and absent is None else DEFAULT
    found = tuple(dict.fromkeys(word.text for word in words)) or default
    slots: list[Slot] = []
    for word in found:
        slot = _slot(word, event if absent is None else "", groups)
        if slot is not None:
            slots.append(slot)
        elif word != "run":
            node = next(one for one in words if one.text == word)
            known = _known(event if absent is None else "", groups)
            shown = one_of(RESOURCE)
            what = f"{shown} or a text of {event}" if absent is None and event else shown
            reader.fail(node, f'expected `by` to hold {what}, got "{word}"{guess(word, known)}')
    _check(reader, found, program)
    return found, tuple(slots)


def _check(reader: Reader, found: tuple[str, ...], program: Program | None) -> None:
    node = reader.node.values.get("by")
    if node is None:
        return
    if "run" not in found:
        reader.fail(node, "runs are judged apart: `by` needs run")
    if program is not None and program.peers and "rank" not in found:
        reader.fail(node, "peers.* compares a rank with the others: `by` needs rank")


def _slot(word: str, event: str, groups: Collection[str]) -> Slot | None:
    if word in RESOURCE:
        return None if word == "run" else Slot("resource", word, "number" if word == "rank" else "text", True)
    if word in groups:
        return fields.group(word).slot
    if word == ATTRIBUTES and event == events.METRIC:
        return Slot("event", ATTRIBUTES, "text", True)
    field = fields.find(event, word) if event else None
    return field.slot if field is not None and field.type == TEXT else None


def _known(event: str, groups: Collection[str]) -> set[str]:
    offered = fields.EVENTS.get(event, {})
    return {*RESOURCE, *groups, *(name for name, field in offered.items() if field.type == TEXT)}


def read_same(reader: Reader) -> tuple[str, ...]:
    """``same``: what a cause and its symptom must agree in."""
    words = reader.texts("same")
    for word in words:
        if word.text not in RESOURCE:
            shown = one_of(RESOURCE)
            reader.fail(
                word, f'expected `same` to hold {shown}, got "{word.text}"{guess(word.text, RESOURCE)}'
            )
    if words and "inhibited_by" not in reader.node.keys:
        reader.fail(reader.node.keys["same"], "`same` says which causes count: it needs `inhibited_by`")
    return tuple(dict.fromkeys(word.text for word in words))
