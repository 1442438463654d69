"""Several batches that are stored together: read, written down, settled, ready to be inserted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from stream.sink import tables
from stream.sink.collect import collect
from stream.sink.partition import Entry
from stream.sink.plans import Key, Place, Plan, mark
from stream.sink.ranges import Range, ranges
from stream.sink.recent import Marks, Recent
from stream.sink.settle import Asked, Holding, settle


class Written(Asked, Protocol):
    """What is asked of ``register.Register``."""

    def write(self, plans: Sequence[Plan], numbers: Mapping[Key, Sequence[Range]]) -> None: ...

    def lost(self, claims: Mapping[Place, int]) -> set[Place]: ...

    def offsets_in_history(self, table: str, place: Place, first: int, last: int) -> set[int]: ...


@dataclass
class Item:
    """One batch of a wave. ``stored``: it is in history already, so it has no tables.

    ``rowless``: nothing in it concerns history, as in beacons, so that nobody needs to know how it was cut.
    """

    entry: Entry
    plan: Plan
    stored: bool = False
    rowless: bool = False
    tables: dict[str, pa.Table] = field(default_factory=dict)
    marks: Marks = field(default_factory=list)
    bad: int = 0
    duplicates: int = 0


@dataclass
class Wave:
    """Batches in the order in which they are inserted; ``fresh``: those that nobody has planned."""

    items: list[Item]
    claims: dict[Place, int]
    fresh: list[Plan] = field(default_factory=list)
    vague: set[str] = field(default_factory=set)

    @property
    def rowless(self) -> bool:
        """Whether nothing will be inserted."""
        return all(item.rowless for item in self.items)


class Waves:
    """Makes waves, in threads; remembers what was stored lately, and what is finished but not told."""

    def __init__(self, register: Written) -> None:
        self.finished: list[Plan] = []
        self._register = register
        self._recent = Recent()

    def read(self, entries: Sequence[Entry], claims: Mapping[Place, int], lives: Mapping[Place, int]) -> Wave:
        """Turn the records into rows. ``claims`` and ``lives`` of their partitions."""
        wave = Wave([], dict(claims))
        for entry in entries:
            plan = entry.plan or _plan(entry, claims[entry.place], lives[entry.place])
            item = Item(entry, plan, stored=plan.stored)
            if not item.stored:
                wave.vague |= self._collect(item)
            if entry.plan is None:
                item.rowless = _is_rowless(item)
                wave.fresh += [] if item.rowless else [plan]
            wave.items.append(item)
        return wave

    def write_down(self, wave: Wave) -> None:
        """Before anything is inserted: what will be. From then on nobody cuts these records elsewhere."""
        planned = {plan.key for plan in wave.fresh}
        numbers = {i.plan.key: list(ranges(i.marks)) for i in wave.items if i.plan.key in planned}
        finished, self.finished = self.finished, []
        try:
            self._register.write([*wave.fresh, *finished], numbers)
        except Exception:
            self.finished = finished
            raise
        wave.fresh.clear()
        for item in wave.items:
            if item.entry.plan is None and not item.rowless:
                item.entry.plan, item.entry.whole = item.plan, True

    def lost(self, wave: Wave) -> set[Place]:
        """The partitions that another sink has claimed since."""
        return self._register.lost(wave.claims)

    def settle(self, wave: Wave, claims: Mapping[Place, int]) -> bool:
        """Leave out what other batches hold by right; False where that is not decided yet.

        ``claims``: all of ours.
        """

        def ours(place: Place) -> bool:
            return place in claims and not self._register.lost({place: claims[place]})

        open_items = [item for item in wave.items if not item.stored and not item.rowless]
        holdings = [Holding(item.plan.key, list(ranges(item.marks))) for item in open_items]
        done = {plan.key for plan in self.finished}
        verdict = settle(self._register, holdings, vague=wave.vague, ours=ours, done=done)
        if verdict.undecided:
            return False
        for item in open_items:
            known = verdict.known.get(item.plan.key)
            if known:
                self._recent.give_up(item.marks)
                self._recent.learn(known)
                self._collect(item, again=True)
            if not item.entry.whole:
                self._leave_out_stored(item)
        return True

    def tell_finished(self) -> None:
        """Write down which batches are stored, where no further batch takes this along."""
        finished, self.finished = self.finished, []
        try:
            self._register.write(finished, {})
        except Exception:
            self.finished = finished
            raise

    def keep(self, item: Item) -> None:
        """The batch is stored."""
        self._recent.keep(item.marks)
        if (
            not item.rowless
            and not item.plan.stored
            and item.entry.batch.records[-1].offset == item.plan.last
        ):
            self.finished.append(replace(item.plan, stored=True))

    def give_up(self, items: Sequence[Item]) -> None:
        """These batches are not stored; their records may come again."""
        for item in items:
            self._recent.give_up(item.marks)

    def _collect(self, item: Item, again: bool = False) -> set[str]:
        rows = collect(item.entry.batch.records, self._recent, again)
        vague = self._recent.vague
        item.marks = self._recent.take()
        item.tables = rows.arrow()
        item.bad, item.duplicates = rows.bad, rows.duplicates
        return vague

    def _leave_out_stored(self, item: Item) -> None:
        """Only a part of the planned records came again: nobody knows which rows of theirs were inserted."""
        offsets = [record.offset for record in item.entry.batch.records]
        for table, content in item.tables.items():
            if table == tables.RUNS:
                continue
            place = item.entry.place
            stored = self._register.offsets_in_history(table, place, offsets[0], offsets[-1])
            known = pa.array(sorted(stored), pa.uint64())
            item.tables[table] = content.filter(pc.invert(pc.is_in(content["src_offset"], known)))


def _is_rowless(item: Item) -> bool:
    rows = any(content.num_rows for content in item.tables.values())
    return not (rows or item.marks or item.bad or item.duplicates)


def _plan(entry: Entry, claim: int, life: int) -> Plan:
    records = entry.batch.records
    return Plan(
        entry.place, records[0].offset, records[-1].offset, life, claim, entry.batch.token,
        mark(records[0]), mark(records[-1]),
    )  # fmt: skip
