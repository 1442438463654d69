"""From records to stored and acknowledged records, with a bounded amount waiting between.

A record is acknowledged (so that its offset may be committed) only after every insert of its batch
returned, and the records of a partition in their order. Before anything is inserted the batch is written
down (stream/sink/register.py). While ClickHouse is away what is at hand is tried again for ever, and reading
stops when enough waits.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

import pyarrow as pa

from stream.sink.cuts import Limits, cost
from stream.sink.partition import Delivery, EndOf, Entry, Partition
from stream.sink.plans import Place
from stream.sink.records import Record
from stream.sink.register import Register
from stream.sink.wave import Item, Wave, Waves
from stream.sink.writer import UnavailableError

_log = logging.getLogger(__name__)

_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 5.0
_SAY_AGAIN_S = 30.0
_UNDECIDED_WAIT_S = 0.5
_CONFIRMED_FOR_S = 10.0
_IDLE_S = 1.0
_WAVE_ENTRIES = 32
_WAVE_BATCHES = 2

T = TypeVar("T")


class Inserter(Protocol):
    """``writer.Writer``."""

    def insert(self, table: str, rows: pa.Table, token: str) -> int:
        """See ``Writer.insert``."""


@dataclass
class Counts:
    """What the sink did since it started.

    ``bad``: records and rows refused; ``duplicates``: resends; ``replayed``: Kafka records read again that
    were in history; ``taken_over``: partitions, each time; ``superseded``: times another sink took one.
    """

    records: int = 0
    rows: int = 0
    batches: int = 0
    bad: int = 0
    duplicates: int = 0
    retries: int = 0
    insert_s: float = 0.0
    replayed: int = 0
    taken_over: int = 0
    superseded: int = 0


class _GivenUpError(Exception):
    """ClickHouse is away, and partitions are being taken from us."""


class _SupersededError(Exception):
    """Another sink has claimed these partitions."""

    def __init__(self, places: set[Place]) -> None:
        super().__init__(str(places))
        self.places = places


def _nobody_knows(place: Place) -> int | None:
    return None


class Pipeline:
    """Buffers by partition, and one task (``run``) that stores batches one after the other."""

    def __init__(
        self,
        writer: Inserter,
        register: Register,
        *,
        active: Callable[[], bool] = lambda: True,
        leaving: Callable[[], bool] = lambda: False,
        limits: Limits | None = None,
        end_of: EndOf = _nobody_knows,
    ) -> None:
        """``active`` turns false when partitions are being taken away: then failing inserts are given up.

        While it is others who get them (``leaving``), what no insert has begun of is given up too: a group
        waits for the last record of its slowest member. ``away`` says why ClickHouse takes nothing at the
        moment.
        """
        self.counts = Counts()
        self._writer, self._register, self._active, self._leaving = writer, register, active, leaving
        self._limits, self._end_of = limits or Limits(), end_of
        self._waves = Waves(register)
        self._partitions: dict[Place, Partition] = {}
        self.waiting_bytes = 0
        self.away: str | None = None
        self._times_given_up = 0
        self._confirmed = 0.0
        self._changed = asyncio.Event()
        self._room = asyncio.Event()

    async def add(self, record: Record, delivery: Delivery) -> None:
        """Take a record; waits while too much is waiting already."""
        given_up = self._times_given_up
        while self.waiting_bytes > self._limits.waiting_bytes:
            self._room.clear()
            await self._room.wait()
        if given_up != self._times_given_up:
            delivery.given_up()
            return
        place = Place(record.topic, record.partition)
        if place not in self._partitions:
            self._partitions[place] = Partition(place, self._limits, self._end_of)
        self._drop(self._partitions[place].add(record, delivery, time.monotonic()))
        self.waiting_bytes += cost(record)
        self._changed.set()

    async def run(self) -> None:
        """Store batches for ever."""
        while True:
            if self._leaving():
                self._give_up()
            try:
                await self._take_over()
                entries = await self._next()
                if entries:
                    await self._store(entries)
            except _GivenUpError:
                self._give_up()
            self._room.set()

    async def _take_over(self) -> None:
        """Claim the partitions of whose records nothing is known, and learn what was planned for them."""
        now = time.monotonic()
        asked = {
            place: offset
            for place, partition in self._partitions.items()
            if (offset := partition.first_offset) is not None and partition.not_before <= now
        }
        if not asked:
            return
        taken = await self._patiently(lambda: self._register.take_over(asked))
        for place, takeover in taken.items():
            partition = self._partitions[place]
            # What was delivered again meanwhile begins earlier, and has to be asked for.
            if partition.first_offset == asked[place]:
                self.counts.taken_over += 1
                partition.take_over(
                    takeover.claim, takeover.plans, takeover.life, takeover.until, time.monotonic()
                )

    async def _next(self) -> list[Entry]:
        """Batches that are complete, of a partition in their order; none where something else is due."""
        self._changed.clear()
        wait_s = self._close_due()
        if entries := self._closed():
            return entries
        try:
            await asyncio.wait_for(self._changed.wait(), min(wait_s, _IDLE_S))
        except asyncio.TimeoutError:
            if self._waves.finished and wait_s > _IDLE_S:
                await self._patiently(self._waves.tell_finished)
        return []

    def _close_due(self) -> float:
        """Close what is due; seconds until the next one is, or until a partition may be taken over."""
        now, wall_ns = time.monotonic(), time.time_ns()
        due = [partition.close_due(now, wall_ns) for partition in self._partitions.values()]
        due += [p.not_before - now for p in self._partitions.values() if p.first_offset is not None]
        return max(0.0, min((seconds for seconds in due if seconds is not None), default=float("inf")))

    def _closed(self) -> list[Entry]:
        entries: list[Entry] = []
        room = _WAVE_BATCHES * self._limits.batch_bytes
        for partition in self._partitions.values():
            while partition.closed and len(entries) < _WAVE_ENTRIES and room > 0:
                entries.append(partition.closed.popleft())
                room -= entries[-1].batch.size_bytes
        # The next time the others come first.
        for place in {entry.place for entry in entries}:
            self._partitions[place] = self._partitions.pop(place)
        return entries

    async def _store(self, entries: list[Entry]) -> None:
        places = {entry.place for entry in entries}
        claims = {place: self._partitions[place].claim for place in places}
        lives = {place: self._partitions[place].life for place in places}
        rounds = {place: self._partitions[place].round for place in places}
        wave = await asyncio.to_thread(self._waves.read, entries, claims, lives)
        left = deque(wave.items)
        try:
            await self._write_down(wave)
            while left:
                await self._finish(wave, left[0])
                left.popleft()
        except (_SupersededError, _GivenUpError) as error:
            self._waves.give_up(left)
            self._put_back(left, rounds, getattr(error, "places", set()))
            if isinstance(error, _GivenUpError):
                raise

    async def _write_down(self, wave: Wave) -> None:
        await self._patiently(lambda: self._waves.write_down(wave))
        if wave.rowless:
            return
        await self._confirm(wave)
        while not await self._patiently(lambda: self._waves.settle(wave, self._claims())):
            if not self._active():
                raise _GivenUpError
            await asyncio.sleep(_UNDECIDED_WAIT_S)
            await self._confirm(wave)

    def _claims(self) -> dict[Place, int]:
        return {place: partition.claim for place, partition in self._partitions.items() if partition.claim}

    async def _confirm(self, wave: Wave) -> None:
        """Raises _SupersededError where another sink, which may not know of this wave, has taken over."""
        asked = time.monotonic()
        lost = await self._patiently(lambda: self._waves.lost(wave))
        if lost:
            raise _SupersededError(lost)
        self._confirmed = asked

    async def _finish(self, wave: Wave, item: Item) -> None:
        """Insert what is not there yet, and acknowledge."""
        for table, content in item.tables.items():
            if content.num_rows:
                refused = await self._insert(wave, table, content, item.entry.batch.token)
                item.bad += refused
                self.counts.rows += content.num_rows - refused
        self._waves.keep(item)
        self._partitions[item.entry.place].progressed()
        self._count(item)
        self.waiting_bytes -= item.entry.batch.size_bytes
        for delivery in item.entry.deliveries:
            await delivery.stored()
        self._room.set()

    def _count(self, item: Item) -> None:
        records = len(item.entry.batch.records)
        if item.stored:
            self.counts.replayed += records
            return
        self.counts.records += records
        self.counts.batches += 1
        self.counts.bad += item.bad
        self.counts.duplicates += item.duplicates

    async def _insert(self, wave: Wave, table: str, content: pa.Table, token: str) -> int:
        """How many rows were refused. The claims are looked at again where that was long ago."""

        async def insert() -> int:
            if time.monotonic() - self._confirmed > _CONFIRMED_FOR_S:
                await self._confirm(wave)
            began = time.monotonic()
            refused = await asyncio.to_thread(self._writer.insert, table, content, token)
            self.counts.insert_s += time.monotonic() - began
            return refused

        return await self._try(insert)

    async def _patiently(self, call: Callable[[], T]) -> T:
        return await self._try(lambda: asyncio.to_thread(call))

    async def _try(self, call: Callable[[], Awaitable[T]]) -> T:
        """The result, for as long as it takes. Raises _GivenUpError."""
        wait_s, silent_since, began = _FIRST_WAIT_S, -_SAY_AGAIN_S, time.monotonic()
        while True:
            started = time.monotonic()
            try:
                result = await call()
            except UnavailableError as error:
                self.away = str(error)
                self.counts.retries += 1
                if not self._active():
                    raise _GivenUpError from error
                if started - silent_since >= _SAY_AGAIN_S:
                    _log.warning("history is behind, nothing is lost, trying again: %s", error)
                    silent_since = started
            else:
                self.away = None
                if wait_s > _FIRST_WAIT_S:
                    _log.warning("history takes inserts again, after %.1f s", started - began)
                return result
            await asyncio.sleep(wait_s)
            wait_s = min(_LONGEST_WAIT_S, wait_s * 2)

    def _put_back(self, items: Iterable[Item], rounds: Mapping[Place, int], lost: set[Place]) -> None:
        """What was not inserted waits again: in lost partitions for the next takeover."""
        entries: dict[Place, list[Entry]] = {}
        for item in items:
            entries.setdefault(item.entry.place, []).append(item.entry)
        for place in entries.keys() | lost:
            partition, back = self._partitions[place], entries.get(place, [])
            if partition.round != rounds[place]:
                self._drop((r, d) for e in back for r, d in zip(e.batch.records, e.deliveries, strict=True))
                back = []
            partition.closed.extendleft(reversed(back))
            if place in lost:
                _log.warning("%s[%d]: another sink has taken over; asking again what is left", *place)
                self.counts.superseded += 1
                partition.put_back(time.monotonic())

    def _drop(self, replaced: Iterable[tuple[Record, Delivery]]) -> None:
        for record, delivery in replaced:
            self.waiting_bytes -= cost(record)
            delivery.given_up()

    def _give_up(self) -> None:
        """Drop all that waits: partitions are being taken away, and come again from the last commit."""
        self._times_given_up += 1
        for partition in self._partitions.values():
            self._drop(list(partition.drain()))
