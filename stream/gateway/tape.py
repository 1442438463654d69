"""The last hour of one topic in memory, by run: what long polls are answered from."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from emitter.kafka.client import never_create, stop
from emitter.kafka.positions import LOOKBACK_S, behind, rewind, watch
from emitter.kafka.topic_ids import topic_id
from stream.gateway.errors import UnavailableError
from stream.kafka import reach

MOST_BYTES: Final = 64 * 1024 * 1024
PAGE: Final = 256
PAGE_BYTES: Final = 1024 * 1024
CONNECT_S: Final = 15.0
UNREADABLE_S: Final = 3.0
_RETRY_S: Final = 0.5
_POLL_S: Final = 0.01

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """One record, as it is on the topic."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass
class Reel:
    """Records by the runs that they name; they go an hour after they came, the oldest also when too many."""

    entries: deque[tuple[Entry, frozenset[str], float]] = field(default_factory=deque)
    by_run: dict[str, deque[Entry]] = field(default_factory=dict)
    size: int = 0
    now: Callable[[], float] = time.monotonic

    def add(self, entry: Entry) -> None:
        """Take in a record, at the end."""
        names = named_runs(entry)
        self.entries.append((entry, names, self.now()))
        self.size += len(entry.value)
        for name in names:
            self.by_run.setdefault(name, deque()).append(entry)
        since = self.now() - LOOKBACK_S
        while self.entries and (self.size > MOST_BYTES or self.entries[0][2] < since):
            self._drop_first()

    def after(self, run: str, places: dict[int, int]) -> list[Entry]:
        """The records of a run from these offsets on; at most a page."""
        found: list[Entry] = []
        size = 0
        for entry in self.by_run.get(run, ()):
            if entry.offset >= places.get(entry.partition, 0):
                found.append(entry)
                size += len(entry.value)
                if len(found) == PAGE or size > PAGE_BYTES:
                    break
        return found

    def _drop_first(self) -> None:
        entry, names, _ = self.entries.popleft()
        self.size -= len(entry.value)
        for name in names:
            mine = self.by_run[name]
            mine.popleft()
            if not mine:
                del self.by_run[name]


def named_runs(entry: Entry) -> frozenset[str]:
    """The runs that key, envelope or data name; whose it really is, the signature decides."""
    names: set[Any] = {entry.key.decode("utf-8", "replace")} if entry.key else set()
    with contextlib.suppress(ValueError, LookupError, RecursionError, AttributeError, TypeError):
        envelope = json.loads(entry.value)
        names |= {envelope.get("subject"), envelope["data"].get("run")}
    return frozenset(name for name in names if isinstance(name, str))


class Tape:
    """Reads one topic from the moment somebody first asks; ``problem`` says why it cannot."""

    def __init__(self, kafka: str, topic: str) -> None:
        self._kafka, self._topic = kafka, topic
        self._reel, self._epoch = Reel(), ""
        self._changed = asyncio.Condition()
        self._ready = False
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._consumer: Any = None
        self.problem: str | None = None

    async def take(
        self, run: str, cursor: str, wait_s: float, *, fresh: bool = False
    ) -> tuple[list[Entry], str]:
        """The next records of this run and the cursor behind them; waits so long for the first one.

        ``fresh``: all that was on the topic when it was asked for. Raises UnavailableError while the topic
        cannot be read.
        """
        if self._task is None:
            self._task = asyncio.create_task(self._keep_reading())
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._until(lambda: self._ready), CONNECT_S)
        if not self._ready:
            raise UnavailableError(f"{self.problem or f'{self._topic} is not read yet'}; ask again later")
        if fresh:
            await self._read_to_the_end()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._until(lambda: bool(self._after(run, cursor))), wait_s)
        found = self._after(run, cursor)
        return found, self._cursor(cursor, found)

    async def close(self) -> None:
        """Answer those who wait, and stop reading."""
        self._stopping = True
        async with self._changed:
            self._changed.notify_all()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _until(self, condition: Any) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._stopping or condition())

    def _after(self, run: str, cursor: str) -> list[Entry]:
        return self._reel.after(run, self._places(cursor))

    def _places(self, cursor: str) -> dict[int, int]:
        epoch, _, text = cursor.partition(";")
        if epoch != self._epoch or not text:
            return {}
        places = {}
        for word in text.split(","):
            partition, _, offset = word.partition(":")
            if not (partition.isascii() and partition.isdigit() and offset.isascii() and offset.isdigit()):
                return {}
            places[int(partition[:9])] = int(offset[:18])
        return places

    def _cursor(self, before: str, found: list[Entry]) -> str:
        places = self._places(before)
        for entry in found:
            places[entry.partition] = entry.offset + 1
        words = ",".join(f"{partition}:{offset}" for partition, offset in sorted(places.items()))
        return f"{self._epoch};{words}"

    async def _keep_reading(self) -> None:
        while True:
            try:
                await self._read()
            except (KafkaError, OSError, asyncio.TimeoutError) as error:
                said = f"kafka {self._kafka}: {self._topic}: {error or type(error).__name__}"
                if said != self.problem:
                    log.warning("%s; it is read again as soon as it can be", said)
                self.problem = said
            self._ready = False
            await asyncio.sleep(_RETRY_S)

    async def _read(self) -> None:
        """From an hour ago on, until the line breaks. Raises KafkaError, OSError, TimeoutError."""
        consumer = AIOKafkaConsumer(
            **reach(self._kafka), group_id=None, enable_auto_commit=False,
            auto_offset_reset="earliest", fetch_max_wait_ms=100,
        )  # fmt: skip
        never_create(consumer._client)
        try:
            await asyncio.wait_for(consumer.start(), CONNECT_S)
            identity = await asyncio.wait_for(self._begin(consumer), CONNECT_S)
            watching = asyncio.ensure_future(watch(consumer, self._topic, identity))
            reading = asyncio.ensure_future(self._follow(consumer))
            try:
                done, _ = await asyncio.wait({watching, reading}, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                watching.cancel()
                reading.cancel()
                await asyncio.gather(watching, reading, return_exceptions=True)
        finally:
            await stop(consumer)

    async def _begin(self, consumer: Any) -> bytes | None:
        await consumer._client.force_metadata_update()
        numbers = consumer.partitions_for_topic(self._topic)
        if not numbers:
            raise KafkaError("no such topic; `trainwarden topics apply` creates it")
        consumer.assign([TopicPartition(self._topic, number) for number in numbers])
        identity = await topic_id(consumer._client, self._topic)
        await rewind(consumer)
        self._reel = Reel()
        self._epoch = identity.hex() if identity is not None else secrets.token_hex(8)
        return identity

    async def _read_to_the_end(self) -> None:
        """Raises UnavailableError."""
        consumer = self._consumer
        try:
            ends = await asyncio.wait_for(consumer.end_offsets(consumer.assignment()), CONNECT_S)
            # Tansu counts what is produced before a topic exists, and never gives it out: do not wait for it.
            patience = time.monotonic() + UNREADABLE_S
            while await behind(consumer, ends) and time.monotonic() < patience:
                await asyncio.sleep(_POLL_S)
        except (KafkaError, OSError, asyncio.TimeoutError, AssertionError, AttributeError) as error:
            raise UnavailableError(
                f"{self._topic}: {error or type(error).__name__}; ask again later"
            ) from None

    async def _follow(self, consumer: Any) -> None:
        ends = await consumer.end_offsets(consumer.assignment())
        patience = time.monotonic() + UNREADABLE_S
        while True:
            if not self._ready and not (await behind(consumer, ends) and time.monotonic() < patience):
                self._ready, self.problem, self._consumer = True, None, consumer
                await self._tell()
            found = await consumer.getmany(timeout_ms=100)
            if found:
                patience = time.monotonic() + UNREADABLE_S
            for record in (record for records in found.values() for record in records):
                self._reel.add(
                    Entry(
                        record.partition, record.offset, record.timestamp, record.key, record.value or b"",
                        tuple(record.headers),
                    )
                )  # fmt: skip
            if found:
                await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()
