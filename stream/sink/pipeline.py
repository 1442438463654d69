"""From records to stored and acknowledged records, with a bounded amount waiting between.

A record is acknowledged (so that its offset may be committed) only after every insert of its batch
returned, and the records of a partition in their order. While ClickHouse is away the insert at hand is
tried again for ever, and reading stops when enough waits.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from stream.sink.collect import collect
from stream.sink.cuts import Batch, Limits, cost
from stream.sink.recent import Recent
from stream.sink.records import Record
from stream.sink.writer import UnavailableError

_log = logging.getLogger(__name__)

_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 5.0
_SAY_AGAIN_S = 30.0


class Delivery(Protocol):
    """What the broker's side wants to hear of a record."""

    async def stored(self) -> None:
        """The record is in history (or was refused): its offset may be committed."""

    def given_up(self) -> None:
        """The record is dropped here; the broker will deliver it again."""


class Inserter(Protocol):
    """``writer.Writer``."""

    def insert(self, table: str, rows: pa.Table, token: str) -> int:
        """See ``Writer.insert``."""


@dataclass
class Counts:
    """What the sink did since it started. ``bad``: records and rows refused; ``duplicates``: resends."""

    records: int = 0
    rows: int = 0
    batches: int = 0
    bad: int = 0
    duplicates: int = 0
    retries: int = 0
    insert_s: float = 0.0


class Pipeline:
    """Buffers by partition, and one task (``run``) that stores batches one after the other."""

    def __init__(
        self, writer: Inserter, *, active: Callable[[], bool] = lambda: True, limits: Limits | None = None
    ) -> None:
        """``active`` turns false when partitions are being taken away: then failing inserts are given up."""
        self.counts = Counts()
        self._writer, self._active, self._limits = writer, active, limits or Limits()
        self._recent = Recent()
        self._open: dict[tuple[str, int], tuple[Batch, list[Delivery]]] = {}
        self._closed: deque[tuple[Batch, list[Delivery]]] = deque()
        self.waiting_bytes = 0
        self._times_given_up = 0
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
        key = (record.topic, record.partition)
        if key in self._open and not self._open[key][0].takes(record):
            self._closed.append(self._open.pop(key))
        now = time.monotonic()
        batch, deliveries = self._open.setdefault(
            key, (Batch(record.topic, record.partition, self._limits, now), [])
        )
        batch.add(record, now)
        deliveries.append(delivery)
        self.waiting_bytes += cost(record)
        self._changed.set()

    async def run(self) -> None:
        """Store batches for ever."""
        while True:
            batch, deliveries = await self._next()
            stored = await self._store(batch)
            if stored:
                self.waiting_bytes -= batch.size_bytes
                for delivery in deliveries:
                    await delivery.stored()
            else:
                self._give_up(deliveries)
            self._room.set()

    async def _next(self) -> tuple[Batch, list[Delivery]]:
        while not self._closed:
            self._changed.clear()
            wait_s = self._close_due()
            if not self._closed:
                try:
                    await asyncio.wait_for(self._changed.wait(), wait_s)
                except asyncio.TimeoutError:
                    continue
        return self._closed.popleft()

    def _close_due(self) -> float | None:
        """Close what is due; seconds until the next one is, None where nothing is open."""
        now, wall_ns = time.monotonic(), time.time_ns()
        for key, (batch, _) in list(self._open.items()):
            if batch.due_in(now, wall_ns) <= 0:
                self._closed.append(self._open.pop(key))
        return min((batch.due_in(now, wall_ns) for batch, _ in self._open.values()), default=None)

    async def _store(self, batch: Batch) -> bool:
        """Whether the batch is in history now; False where it was given up."""
        rows = await asyncio.to_thread(collect, batch.records, self._recent)
        contents = await asyncio.to_thread(rows.arrow)
        token = batch.token
        for table, content in contents.items():
            refused = await self._insert(table, content, token)
            if refused is None:
                self._recent.give_up()
                return False
            rows.bad += refused
            self.counts.rows += content.num_rows - refused
        self._recent.keep()
        self.counts.records += len(batch.records)
        self.counts.batches += 1
        self.counts.bad += rows.bad
        self.counts.duplicates += rows.duplicates
        return True

    async def _insert(self, table: str, content: pa.Table, token: str) -> int | None:
        """Insert for as long as it takes; how many rows were refused, None where it was given up."""
        wait_s, silent_since, began = _FIRST_WAIT_S, -_SAY_AGAIN_S, time.monotonic()
        while True:
            started = time.monotonic()
            try:
                refused = await asyncio.to_thread(self._writer.insert, table, content, token)
            except UnavailableError as error:
                self.counts.retries += 1
                if not self._active():
                    return None
                if started - silent_since >= _SAY_AGAIN_S:
                    _log.warning("history is behind, nothing is lost, trying again: %s", error)
                    silent_since = started
            else:
                self.counts.insert_s += time.monotonic() - started
                if wait_s > _FIRST_WAIT_S:
                    _log.warning("history takes inserts again, after %.1f s", started - began)
                return refused
            await asyncio.sleep(wait_s)
            wait_s = min(_LONGEST_WAIT_S, wait_s * 2)

    def _give_up(self, deliveries: list[Delivery]) -> None:
        """Drop all that waits: partitions are being taken away, and come again from the last commit."""
        for _, others in [*self._closed, *self._open.values()]:
            deliveries = deliveries + others
        self._closed.clear()
        self._open.clear()
        self.waiting_bytes = 0
        self._times_given_up += 1
        for delivery in deliveries:
            delivery.given_up()
