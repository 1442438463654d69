"""Keeps the embedded broker small: it frees nothing by itself, so now and then a new one takes its place.

While it is replaced, the parts that write to it stand still (SIGSTOP) for a second or two; trainers notice at
most a request that takes longer. What is still needed goes over (stream/renewal.py).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from emitter.vocabulary import topics
from stream import lag
from stream.parts import BROKER, LOOP
from stream.snapshots.files import FileShelf
from stream.snapshots.form import SnapshotFormError
from stream.stack import Stack

MIB: Final = 2**20
ENV_MEMORY: Final = "TRAINWARDEN_BROKER_MEMORY"
"""MiB that the embedded broker may hold before it is replaced."""
ENV_RECORDS: Final = "TRAINWARDEN_BROKER_RECORDS"
"""Records of one partition; its answers get slower with each."""
_DEFAULTS: Final = {ENV_MEMORY: 512, ENV_RECORDS: 20_000}
_LOOK_S: Final = 2.0
_COUNT_S: Final = 10.0


class UpkeepError(ValueError):
    """A limit is no number; the message says which."""


@dataclass(frozen=True)
class Limits:
    """What the broker may hold: bytes of memory, and records of one partition."""

    memory: int
    records: int

    def __str__(self) -> str:
        return f"{self.memory // MIB:,} MiB or {self.records:,} records of a partition"


def limits() -> Limits:
    """From the environment. Raises UpkeepError."""
    return Limits(_number(ENV_MEMORY) * MIB, _number(ENV_RECORDS))


def _number(variable: str) -> int:
    text = os.environ.get(variable) or str(_DEFAULTS[variable])
    if not text.isdecimal() or not int(text):
        raise UpkeepError(f"{variable}: expected a whole number above 0, got {text!r}")
    return int(text)


class Upkeep:
    """Looks after the broker of a stack; ``told`` hears what it does. Used from the stack's own thread."""

    def __init__(self, stack: Stack, most: Limits, told: Callable[[str], None]) -> None:
        self._stack, self._told = stack, told
        self.most = self._most = most
        self._looked = self._counted = time.monotonic()
        self._begin: dict[TopicPartition, int] = {}
        self._records = 0

    def look(self) -> None:
        """Now and then: replace the broker if it holds too much. Raises StackError when that fails."""
        now = time.monotonic()
        if now - self._looked < _LOOK_S or not self._stack.owns(BROKER):
            return
        self._looked = now
        if now - self._counted >= _COUNT_S:
            self._counted = now
            self._records = self._count()
        memory = self._memory()
        if memory > self._most.memory or self._records > self._most.records:
            self._renew(memory)

    def _renew(self, memory: int) -> None:
        before, began = f"{memory // MIB:,} MiB, {self._records:,} records", time.monotonic()
        contents = self._stack.renew_broker(asyncio.run(self._needed()))
        kept, size = contents.size
        self._begin = {place: records[0].offset for place, records in contents.records.items()}
        self._records = max((len(records) for records in contents.records.values()), default=0)
        after = self._memory()
        self._told(
            f"broker: replaced in {time.monotonic() - began:.1f} s after it held {before} of a partition; "
            f"{kept:,} records ({size / MIB:.1f} MiB) are still needed and went over"
        )
        # What somebody has not read must stay: do not try again before it is twice as much.
        self._most = Limits(max(self.most.memory, 2 * after), max(self.most.records, 2 * self._records))
        if self._most != self.most:
            self._told(
                f"broker: what has to stay is more than half of what it may hold ({self.most}); "
                f"for now it may hold {self._most}. It waits for the worker's next snapshot, for a worker "
                "that is behind, or for ClickHouse"
            )

    def _memory(self) -> int:
        pid = self._stack.parts[BROKER].pid
        try:
            return int(psutil.Process(pid).memory_info().rss)
        except psutil.Error:
            return 0  # it ended; the stack's own check says so

    def _count(self) -> int:
        """Records of the fullest partition since the broker began."""
        try:
            ends = asyncio.run(lag.end_offsets(self._stack.kafka, [topic.name for topic in topics.TOPICS]))
        except (KafkaError, OSError):
            return self._records
        return max((end - self._begin.get(place, 0) for place, end in ends.items()), default=0)

    async def _needed(self) -> dict[TopicPartition, int]:
        """Where a worker that takes over would read from, by the snapshots on the disk."""
        shelf = FileShelf(Path(self._stack.data.path) / LOOP / "snapshots")
        found: dict[TopicPartition, int] = {}
        for partition in range(self._stack.partitions):
            try:
                async for stored in shelf.newest(partition):
                    found[TopicPartition(topics.TRAIN_EVENTS, partition)] = stored.head.first
            except (OSError, SnapshotFormError):
                continue
        return found
