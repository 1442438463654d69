"""Series of a sample: which event and field each feeds, for one rank or for several."""

from __future__ import annotations

import re
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from typing import Final

from emitter.vocabulary.metrics import canonical
from stream.rulelang import fields, series
from stream.rulelang.errors import guess
from stream.rulelang.fields import EVENTS, Field
from stream.rulelang.functions import TEXT
from stream.rulelang.model import SampleRank, Sequenced
from stream.rulelang.reader import Reader
from stream.rulelang.tree import List, Mapping, Node, Scalar, kind

MAX_RANKS: Final = 256
MAX_VALUES: Final = 200_000
OWN: Final = ("node", "role", "lines")
"""Keys of a rank that are no series."""
_RANKS = re.compile(r"([0-9]{1,6})(?:-([0-9]{1,6}))?\Z")


@dataclass(frozen=True)
class Target:
    """What a rule takes in: its own event (the one that bare names belong to), and names it reads.

    ``needs``: at least one of them must be in a sample; empty for rules on diagnoses, which any event
    may lead to. ``reads`` maps an event to the names read of it beyond the vocabulary.
    """

    event: str
    needs: frozenset[str] = frozenset()
    reads: MappingOf[str, frozenset[str]] = field(default_factory=dict)

    def find(self, name: str) -> tuple[str, Field] | None:
        """The event and the field that a name in a sample means, or None."""
        event, own = fields.split(name) or (self.event, name)
        if event not in EVENTS:
            return None
        known = fields.find(event, own) or fields.find(event, canonical(own))
        if known is None and canonical(own) in self.reads.get(event, frozenset()):
            known = fields.logged(own)
        return None if known is None or known.slot.place in ("resource", "group") else (event, known)

    def known(self) -> set[str]:
        """Names a sample may feed, for guesses."""
        own = {name for name, one in EVENTS.get(self.event, {}).items() if one.slot.place != "resource"}
        return {*own, *self.reads.get(self.event, ()), *EVENTS}


def read_series(reader: Reader, target: Target) -> SampleRank | None:
    """``series``: what rank 0 sends."""
    node = reader.typed("series", Mapping, "a mapping of name to series")
    return None if node is None else _rank(reader, node, target, 0, plain=True)


def read_lines(reader: Reader) -> list[SampleRank]:
    """``lines``: what rank 0 writes."""
    found = tuple(line.text for line in reader.texts("lines"))
    return [SampleRank(0, found)] if found else []


def read_ranks(reader: Reader, target: Target) -> list[SampleRank]:
    """``ranks``: a mapping of rank, or of ``0-6``, to what it sends."""
    node = reader.typed("ranks", Mapping, "a mapping such as {0-2: {step_time: 1x9}, 3: {step_time: 2x9}}")
    found: dict[int, SampleRank] = {}
    for name, value in node.values.items() if node is not None else ():
        place = node.keys[name] if node is not None else value
        ranks = _numbers(name)
        if not ranks or not isinstance(value, Mapping):
            wanted = f"a rank or a range such as 0-6 (below {MAX_RANKS}), with a mapping of name to series"
            reader.fail(place, f"expected {wanted}, got {kind(place)}")
            continue
        twice = [rank for rank in ranks if rank in found]
        if twice:
            reader.fail(place, f"rank {twice[0]} is there twice")
        made = _rank(reader, value, target, ranks[0], plain=False)
        found.update({rank: _same(made, rank) for rank in ranks})
    if sum(_size(rank) for rank in found.values()) > MAX_VALUES and node is not None:
        reader.fail(node, f"expected at most {MAX_VALUES:,} values in all ranks together")
    return [found[rank] for rank in sorted(found)]


def _same(one: SampleRank, rank: int) -> SampleRank:
    return SampleRank(rank, one.lines, one.series, one.node, one.role)


def _size(rank: SampleRank) -> int:
    held = [values for named in rank.series.values() for values in named.values()]
    return len(rank.lines) + sum(len(values) for values in held if not isinstance(values, str))


def _numbers(name: str) -> list[int]:
    found = _RANKS.match(name)
    if found is None:
        return []
    first, last = int(found[1]), int(found[2] or found[1])
    return list(range(first, last + 1)) if last < MAX_RANKS else []


def _rank(reader: Reader, node: Mapping, target: Target, rank: int, *, plain: bool) -> SampleRank:
    made: dict[str, dict[tuple[str, str], Sequenced]] = {}
    inner = Reader(node, reader.problems, "a rank")
    where = None if plain else inner.text("node")
    role = None if plain else inner.text("role")
    lines = () if plain else tuple(line.text for line in inner.texts("lines"))
    for name, value in node.values.items():
        if not plain and name in OWN:
            continue
        if name in EVENTS and fields.find(target.event, name) is None:
            made.setdefault(name, {})["", ""] = _numeric(reader, value)
            continue
        found = target.find(name)
        if found is None:
            key = node.keys[name]
            reader.fail(key, f'the rule reads no series "{name}"{guess(name, target.known())}')
            continue
        event, one = found
        values = _texts(reader, value) if one.type == TEXT else _numeric(reader, value)
        made.setdefault(event, {})[one.slot.place, one.slot.name] = values
    return SampleRank(rank, lines, made, where.text if where else None, role.text if role else None)


def _numeric(reader: Reader, node: Node) -> Sequenced:
    if not isinstance(node, Scalar) or node.value is None or isinstance(node.value, bool):
        reader.fail(node, f'expected a series such as "1x100 25x3", got {kind(node)}')
        return ()
    try:
        return series.parse(node.text)
    except series.SeriesError as error:
        quote = 1 if node.style else 0
        reader.problems.add(node.line, node.column + quote + error.offset, str(error))
        return ()


def _texts(reader: Reader, node: Node) -> Sequenced:
    """One text throughout, or a list: ``[train x9, _x3, eval]``, ``x9`` meaning nine times more."""
    if isinstance(node, Scalar) and isinstance(node.value, str):
        return node.value
    found: list[str] = []
    for item in node.items if isinstance(node, List) else (node,):
        if isinstance(item, Scalar) and isinstance(item.value, str):
            found.append(item.value)
        else:
            wanted = "a text or a list of texts such as [train x9, _x3, eval]"
            reader.fail(item, f"expected {wanted}, got {kind(item)}")
    try:
        return series.texts(found)
    except series.SeriesError as error:
        reader.fail(node, str(error))
        return ()
