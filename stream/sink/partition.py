"""The records of one partition on their way: cut as was planned before, else by their sizes and times."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from stream.sink.cuts import Batch, Limits
from stream.sink.plans import Place, Plan, mark
from stream.sink.records import Record

_log = logging.getLogger(__name__)

PATIENCE_S: Final = 60.0
"""How long a batch that was planned waits for its last record while nobody knows where the log ends."""
FIRST_PUT_OFF_S: Final = 0.5
LONGEST_PUT_OFF_S: Final = 5.0


class Delivery(Protocol):
    """What the broker's side wants to hear of a record."""

    async def stored(self) -> None:
        """The record is in history (or was refused): its offset may be committed."""

    def given_up(self) -> None:
        """The record is dropped here; the broker will deliver it again."""


@dataclass
class Entry:
    """A batch with those who wait for it. ``plan``: it was planned before, and these are its records.

    ``whole``: all of them, with the contents it had, so that its token will do again; else the first ones
    are gone, or the last.
    """

    batch: Batch
    deliveries: list[Delivery] = field(default_factory=list)
    plan: Plan | None = None
    whole: bool = False

    @property
    def place(self) -> Place:
        """Where its records come from."""
        return Place(self.batch.topic, self.batch.partition)


EndOf = Callable[[Place], "int | None"]
"""The offset at which a partition's log ends, None where nobody knows."""


class Partition:
    """Collects until it is taken over, then cuts. ``round`` counts deliveries from an older offset."""

    def __init__(self, place: Place, limits: Limits, end_of: EndOf) -> None:
        self.place, self._limits, self._end_of = place, limits, end_of
        self.claim = self.life = self.round = 0
        self.not_before = self._put_off_s = 0.0
        self._cutting = False
        self.closed: deque[Entry] = deque()
        self._waiting: deque[tuple[Record, Delivery]] = deque()
        self._plans: deque[Plan] = deque()
        self._planned_until: int | None = None
        self._open: Entry | None = None
        self._newest = -1

    @property
    def first_offset(self) -> int | None:
        """Of the records that wait for a takeover; None where there are none, or it took place."""
        return self._waiting[0][0].offset if not self._cutting and self._waiting else None

    def add(self, record: Record, delivery: Delivery, now: float) -> list[tuple[Record, Delivery]]:
        """Take a record. Offsets that go back are another delivery: what it replaces is returned."""
        replaced = []
        if record.offset <= self._newest:
            replaced = list(self.drain())
            self.round += 1
        self._newest = record.offset
        self._take(record, delivery, now)
        return replaced

    def _take(self, record: Record, delivery: Delivery, now: float) -> None:
        if self._cutting:
            self._cut(record, delivery, now)
        else:
            self._waiting.append((record, delivery))

    def take_over(self, claim: int, plans: list[Plan], life: int, until: int | None, now: float) -> None:
        """Cut what waits. ``until``: the last offset up to which ``plans`` (in force) are complete."""
        self.claim, self.life, self._cutting = claim, life or claim, True
        self._plans, self._planned_until = deque(plans), until
        waiting, self._waiting = self._waiting, deque()
        for record, delivery in waiting:
            self._take(record, delivery, now)

    def put_back(self, now: float) -> None:
        """Another sink claimed the partition: all that is not stored waits for the next takeover.

        That is put off, and longer each time, for one of the two will soon hear from the broker that the
        partition is not its own any more.
        """
        self._waiting = deque(self.drain())
        self._newest = self._waiting[-1][0].offset if self._waiting else -1
        self._put_off_s = min(LONGEST_PUT_OFF_S, self._put_off_s * 2 or FIRST_PUT_OFF_S)
        self.not_before = now + self._put_off_s

    def progressed(self) -> None:
        """Something was stored: nobody disputes the partition."""
        self._put_off_s = 0.0

    def drain(self) -> Iterator[tuple[Record, Delivery]]:
        """Every record that is not stored, in order; the partition is empty then and waits for a takeover."""
        entries = [*self.closed, *([self._open] if self._open else [])]
        waiting = list(self._waiting)
        self.closed.clear()
        self._waiting.clear()
        self._plans.clear()
        self._open, self._cutting, self._newest = None, False, -1
        for entry in entries:
            yield from zip(entry.batch.records, entry.deliveries, strict=True)
        yield from waiting

    def close_due(self, now: float, wall_ns: int) -> float | None:
        """Close what is due by our clocks; seconds until the open batch is, None where nothing is open."""
        if self._open is None:
            return None
        due_in = self._due_in(self._open, now, wall_ns)
        if due_in > 0:
            return due_in
        self._close()
        return None

    def _due_in(self, entry: Entry, now: float, wall_ns: int) -> float:
        due_in = entry.batch.due_in(now, wall_ns)
        if entry.plan is None or due_in > 0:
            return due_in
        end = self._end_of(self.place)
        if end is not None and end <= entry.plan.last:
            return due_in  # the records that were planned are not there: another life, or a log cut short
        return entry.batch.touched + PATIENCE_S - now

    def _cut(self, record: Record, delivery: Delivery, now: float) -> None:
        while self._plans and self._plans[0].last < record.offset:
            self._plans.popleft()
        if not self._plans and self._planned_until is not None and record.offset > self._planned_until:
            # More plans than were read at once: ask again from here.
            self._close()
            self._cutting, self._planned_until = False, None
            self._waiting.append((record, delivery))
            return
        plan = self._plan_for(record)
        if self._open is not None and (
            self._open.plan is not plan or (plan is None and not self._open.batch.takes(record))
        ):
            self._close()
        if self._open is None:
            batch = Batch(self.place.topic, self.place.partition, self._limits, now)
            self._open = Entry(batch, plan=plan)
        self._open.batch.add(record, now)
        self._open.deliveries.append(delivery)
        if plan is not None and record.offset == plan.last:
            self._close()

    def _plan_for(self, record: Record) -> Plan | None:
        """The plan of whose records this is one."""
        plan = self._plans[0] if self._plans else None
        if plan is None or record.offset < plan.first:
            return None
        found = {plan.first: plan.first_mark, plan.last: plan.last_mark}.get(record.offset)
        if found is not None and found != mark(record):
            self._begin_life(record)
            return None
        return plan

    def _begin_life(self, record: Record) -> None:
        _log.warning("%s: offsets began again, another record was there before", record)
        self._plans.clear()
        self.life, self._planned_until = self.claim, None
        if self._open is not None:
            self._open.plan = None

    def _close(self) -> None:
        """The open batch ends. Only what proves to be its plan's records counts as planned."""
        entry, self._open = self._open, None
        if entry is None:
            return
        plan, records = entry.plan, entry.batch.records
        if plan is not None:
            entry.whole = records[0].offset == plan.first and entry.batch.token == plan.token
            known = records[0].offset == plan.first or records[-1].offset == plan.last
            if not known or (
                not entry.whole and (records[0].offset, records[-1].offset) == (plan.first, plan.last)
            ):
                entry.plan = None
        self.closed.append(entry)
