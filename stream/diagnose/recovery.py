"""Taking over a partition of ``train.events``: the newest snapshot that fits, and what came after it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from emitter.vocabulary import topics
from stream.diagnose.horizon import horizon_s
from stream.diagnose.inbox import Inbox
from stream.diagnose.partition import Partition
from stream.diagnose.replay import Replay, ReplayError
from stream.kafka import reach
from stream.progress import Progress
from stream.records import Incoming
from stream.rulebook import bundle
from stream.snapshots import form
from stream.snapshots.form import SnapshotFormError
from stream.snapshots.shelf import Shelf, Stored

AGAIN_S: Final = 1.0
SEARCH_MS: Final = 5_000
"""What is read is there already, but the embedded broker may have to search for it."""
BREATH_S: Final = 0.01
"""After so long other things of this worker get a turn."""

log = logging.getLogger(__name__)


class Recovery:
    """Reads with consumers of its own, so that what Faust reads and commits is left alone."""

    def __init__(self, kafka: str, shelf: Shelf, inbox: Inbox) -> None:
        self._kafka, self._shelf, self._inbox = kafka, shelf, inbox

    async def recover(self, record: Incoming) -> Partition:
        """What the records before this one make; tried again while the broker cannot be read."""
        while True:
            try:
                return await self._recover(record)
            except (KafkaError, OSError) as error:
                log.warning(
                    "kafka %s: train.events[%d] cannot be read back: %s: %s; trying again in %.0f s",
                    self._kafka, record.partition, type(error).__name__, error, AGAIN_S,
                )  # fmt: skip
                await asyncio.sleep(AGAIN_S)

    async def _recover(self, record: Incoming) -> Partition:
        began = time.monotonic()
        async with _Reader(self._kafka, record.partition) as reader:
            begin = await reader.beginning()
            if begin >= record.offset:
                return self._standing(self._inbox.afresh(), record)
            found = await self._from_snapshot(reader, record)
            partition, how = found or await self._from_the_topic(reader, record, begin)
        log.info(
            "train.events[%d]: taken over at record %d from %s in %.1f s",
            record.partition, record.offset, how, time.monotonic() - began,
        )  # fmt: skip
        return partition

    async def _from_snapshot(self, reader: _Reader, record: Incoming) -> tuple[Partition, str] | None:
        try:
            async for stored in self._shelf.newest(record.partition):
                try:
                    return await self._replayed(reader, record, stored), f"a snapshot at {stored.head.first}"
                except (SnapshotFormError, ReplayError) as error:
                    self._say(record, f"the snapshot at record {stored.head.first} is not used: {error}")
            self._say(record, "there is no snapshot to go on from")
        except (SnapshotFormError, OSError, KafkaError) as error:
            if isinstance(error, KafkaError) and error.retriable:
                raise
            self._say(record, f"no snapshot can be read: {type(error).__name__}: {error}")
        return None

    def _say(self, record: Incoming, what: str) -> None:
        log.warning("train.events[%d]: %s", record.partition, what)

    async def _replayed(self, reader: _Reader, record: Incoming, stored: Stored) -> Partition:
        replay = Replay(await asyncio.to_thread(form.assemble, stored.head, stored.chunks))
        goes_on = max(record.offset, stored.head.last + 1)
        async for one in reader.between(stored.head.first, goes_on):
            replay.take(one)
        return replay.done(goes_on)

    async def _from_the_topic(self, reader: _Reader, record: Incoming, begin: int) -> tuple[Partition, str]:
        partition = self._inbox.afresh()
        reach_s = horizon_s(bundle.loaded(partition.rules))
        start = max(begin, await reader.at(record.timestamp_ms - int(reach_s * 1000)))
        newest_ms = 0
        async for one in reader.between(start, record.offset):
            newest_ms = max(newest_ms, one.timestamp_ms)
            with contextlib.suppress(Exception):  # it was set aside when it was new
                partition.take(one)
        return self._standing(partition, record, newest_ms), f"the records since {start}"

    def _standing(self, partition: Partition, record: Incoming, newest_ms: int = 0) -> Partition:
        partition.progress = Progress(record.offset, newest_ms)
        return partition


class _Reader:
    """A partition of ``train.events``, read by itself."""

    def __init__(self, kafka: str, partition: int) -> None:
        self._place = TopicPartition(topics.TRAIN_EVENTS, partition)
        self._consumer = AIOKafkaConsumer(
            **reach(kafka), enable_auto_commit=False, auto_offset_reset="earliest",
            fetch_max_wait_ms=50,
        )  # fmt: skip

    async def __aenter__(self) -> _Reader:
        await self._consumer.start()
        self._consumer.assign([self._place])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def beginning(self) -> int:
        """The first record that is still there."""
        return int((await self._consumer.beginning_offsets([self._place]))[self._place])

    async def at(self, timestamp_ms: int) -> int:
        """The first record not older than this; 0 where the broker cannot tell."""
        found = (await self._consumer.offsets_for_times({self._place: max(0, timestamp_ms)})).get(self._place)
        return int(found.offset) if found is not None and found.offset >= 0 else 0

    async def between(self, start: int, end: int) -> AsyncIterator[Incoming]:
        """The records from ``start``, or the first that is there, up to before ``end`` or the last."""
        end = min(end, int((await self._consumer.end_offsets([self._place]))[self._place]))
        if start >= end:
            return
        self._consumer.seek(self._place, start)
        turn = time.monotonic()
        while await self._consumer.position(self._place) < end:
            for record in (await self._consumer.getmany(self._place, timeout_ms=200)).get(self._place, ()):
                if record.offset < end:
                    yield _incoming(record)
                if time.monotonic() - turn > BREATH_S:
                    await asyncio.sleep(0)
                    turn = time.monotonic()


def _incoming(record: Any) -> Incoming:
    # Rounded as Faust's records are: the witness of a snapshot is over one of those.
    timestamp_ms = int((record.timestamp or 0) / 1000.0 * 1000)
    value = record.value or b""
    return Incoming(record.topic, record.partition, record.offset, value, timestamp_ms=timestamp_ms)
