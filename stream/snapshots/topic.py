"""Snapshots in ``train.snapshots``, compacted: any worker of the group can go on from them.

A partition of it belongs to the partition of ``train.events`` with the same number. Snapshots take turns
in two slots, so that the chunks of one in the making replace those of the last but one. Compaction is the
broker's: until it comes old ones lie before new ones, so who looks reads backwards.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from emitter.vocabulary import topics
from stream.kafka import reach
from stream.records import Outgoing
from stream.snapshots.form import Head, decode_head, encode_head
from stream.snapshots.shelf import Stored

HEADER_ID: Final = "snapshot"
HEADER_NUMBER: Final = "number"
HEAD: Final = "head"
_FIRST_LOOK: Final = 32
"""Records at the end of the partition; then four times as many, and so on."""

log = logging.getLogger(__name__)

Send = Callable[[Sequence[Outgoing]], Awaitable[None]]


class TopicShelf:
    """Writes through ``send``, reads with a consumer of its own."""

    def __init__(self, kafka: str, send: Send) -> None:
        self._kafka, self._send = kafka, send
        self._slots: dict[int, int] = {}
        self._written: dict[tuple[int, int], int] = {}

    async def put(self, partition: int, id: str, number: int, chunk: bytes) -> None:
        """Write the chunk into the slot whose turn it is."""
        await self._send([self._record(partition, str(number), chunk, id)])

    async def finish(self, partition: int, head: Head) -> None:
        """Write the head; the other slot is next."""
        slot = self._slots.get(partition, 0)
        records = [self._record(partition, HEAD, encode_head(head), head.id)]
        longest = self._written.get((partition, slot), 0)
        records += [self._record(partition, str(n), b"", head.id) for n in range(head.chunks, longest)]
        await self._send(records)
        self._written[partition, slot] = head.chunks
        self._slots[partition] = 1 - slot

    async def newest(self, partition: int) -> AsyncIterator[Stored]:
        """All whole ones, those that were taken later first. Raises KafkaError."""
        place = TopicPartition(topics.TRAIN_SNAPSHOTS, partition)
        consumer = AIOKafkaConsumer(
            **reach(self._kafka), enable_auto_commit=False, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            consumer.assign([place])
            begin = int((await consumer.beginning_offsets([place]))[place])
            end = int((await consumer.end_offsets([place]))[place])
            told: set[str] = set()
            look, start = _FIRST_LOOK, end
            while start > begin:
                start = max(begin, end - look)
                for slot, stored in _whole(await _between(consumer, place, start, end)):
                    if stored.head.id not in told:
                        told.add(stored.head.id)
                        self._next_to(partition, slot, stored.head)
                        yield stored
                look *= 4
        finally:
            await consumer.stop()

    def _next_to(self, partition: int, slot: int, head: Head) -> None:
        """The next one must not touch the slot of the newest."""
        self._slots.setdefault(partition, 1 - slot)
        self._written.setdefault((partition, slot), head.chunks)

    def _record(self, partition: int, name: str, value: bytes, id: str) -> Outgoing:
        key = f"{self._slots.get(partition, 0)}/{name}".encode()
        headers = [(HEADER_ID, id.encode()), (HEADER_NUMBER, name.encode())]
        return Outgoing(topics.TRAIN_SNAPSHOTS, value, key, partition=partition, headers=headers)


async def _between(consumer: Any, place: TopicPartition, start: int, end: int) -> list[Any]:
    consumer.seek(place, start)
    found: list[Any] = []
    while await consumer.position(place) < end:
        for records in (await consumer.getmany(place, timeout_ms=200)).values():
            found += [record for record in records if record.offset < end]
    return found


def _whole(records: Sequence[Any]) -> list[tuple[int, Stored]]:
    """Slot and content of the snapshots whose chunks are all there."""
    heads: list[tuple[int, Head]] = []
    chunks: dict[str, dict[str, bytes]] = {}
    for record in records:
        named = dict(record.headers)
        id, number = named.get(HEADER_ID, b"").decode(), named.get(HEADER_NUMBER, b"").decode()
        if number != HEAD:
            chunks.setdefault(id, {})[number] = record.value or b""
            continue
        try:
            heads.append((int((record.key or b"").partition(b"/")[0]), decode_head(record.value or b"")))
        except ValueError as error:
            log.warning("%s[%d]@%d: skipped: %s", record.topic, record.partition, record.offset, error)
    heads.sort(key=lambda one: one[1].last, reverse=True)
    return [
        (slot, Stored(head, [chunks[head.id][str(number)] for number in range(head.chunks)]))
        for slot, head in heads
        if all(str(number) in chunks.get(head.id, {}) for number in range(head.chunks))
    ]
