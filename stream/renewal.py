"""What the embedded broker must not forget, taken from a full one and given to an empty one.

The embedded broker frees nothing by itself: neither retention nor DeleteRecords works there. A new process in
its place is empty. What is still needed goes over to it with the same offsets, times, keys and headers, and
the groups' commits with it, so that nobody who reads notices more than a broken connection.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from emitter.vocabulary import topics as vocabulary
from stream import lag, topics
from stream.kafka import reach

MOST_WORDS: Final = 5_000
"""Of a partition that is not data: decisions, acknowledgements. The newest are kept."""
READERS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(vocabulary.OTLP_TOPICS, (lag.LOOP_GROUP, lag.HISTORY_GROUP)),
    vocabulary.TRAIN_EVENTS: (lag.LOOP_GROUP,),
}
"""The groups that read the data; what all of them have read goes."""

_BATCH_BYTES: Final = 512 * 1024
_FETCH_WAIT_MS: Final = 2_000
_PATIENCE_S: Final = 5.0
_ROUNDS: Final = 10
_TIMEOUT_MS: Final = 30_000
# KIP-98: bit 5 of a batch's attributes marks a control batch; the checksum is over what follows it.
_CRC_AT, _ATTRIBUTES_AT, _CONTROL = 17, 21, 0x20
_CONTROL_KEY: Final = struct.pack(">hh", 0, 1)
_TOPICS: Final = {topic.name: topic for topic in vocabulary.TOPICS}

Offsets = dict[TopicPartition, int]


class RenewalError(RuntimeError):
    """The contents did not go over as they were; the message says where."""


@dataclass
class Contents:
    """What goes over. ``ends``: where the next record of each partition goes."""

    ends: Offsets
    records: dict[TopicPartition, list[Any]] = field(default_factory=dict)
    committed: dict[str, Offsets] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        """Records and bytes."""
        everything = [record for records in self.records.values() for record in records]
        return len(everything), sum(len(record.value or b"") for record in everything)


async def take(kafka: str, needed: Mapping[TopicPartition, int]) -> Contents:
    """Read what is still needed, while nobody writes. ``needed``: where somebody may have to read again.

    Whoever writes all the same may lose what comes after the last look at the ends. Raises KafkaError.
    """
    consumer = AIOKafkaConsumer(
        **reach(kafka), group_id=None, enable_auto_commit=False, auto_offset_reset="earliest",
        fetch_max_wait_ms=_FETCH_WAIT_MS, max_partition_fetch_bytes=vocabulary.MAX_MESSAGE_BYTES * 2,
    )  # fmt: skip
    await consumer.start()
    try:
        contents = Contents(await _ends(kafka))
        for group in (lag.LOOP_GROUP, lag.HISTORY_GROUP):
            found = await lag.committed(kafka, group, list(contents.ends))
            contents.committed[group] = {place: at for place, at in found.items() if at >= 0}
        starts = {place: _start(place, contents, needed) for place in contents.ends}
        contents.records = await _read(consumer, starts, contents.ends)
        for _ in range(_ROUNDS):
            before, contents.ends = contents.ends, await _ends(kafka)
            if contents.ends == before:
                break
            for place, records in (await _read(consumer, before, contents.ends)).items():
                contents.records.setdefault(place, []).extend(records)
        contents.records = {place: _kept(place, records) for place, records in contents.records.items()}
        return contents
    finally:
        await consumer.stop()


async def _ends(kafka: str) -> Offsets:
    return await lag.end_offsets(kafka, list(_TOPICS))


async def give(kafka: str, contents: Contents) -> None:
    """Write the contents to an empty broker. Raises RenewalError, TopicsError, KafkaError."""
    counts: dict[str, int] = {}
    for place in contents.ends:
        counts[place.topic] = counts.get(place.topic, 0) + 1
    shared = counts[vocabulary.TRAIN_EVENTS]
    (await topics.apply(kafka, shared)).check()
    producer = AIOKafkaProducer(**reach(kafka), enable_idempotence=False)
    await producer.start()
    try:
        for place, records in contents.records.items():
            await _write(producer, place, records)
    finally:
        await producer.stop()
    for group, offsets in contents.committed.items():
        await _commit(kafka, group, offsets)
    now = await _ends(kafka)
    for place, end in contents.ends.items():
        if now.get(place) != end:
            raise RenewalError(
                f"{place.topic}[{place.partition}]: expected the new broker to go on at offset {end}, "
                f"it goes on at {now.get(place)}"
            )


def _start(place: TopicPartition, contents: Contents, needed: Mapping[TopicPartition, int]) -> int:
    groups = READERS.get(place.topic)
    if groups is None:
        return 0
    read = min(contents.committed[group].get(place, 0) for group in groups)
    # The last record always goes over: it makes the new broker count from there.
    return max(0, min(read, needed.get(place, read), contents.ends[place] - 1))


async def _read(consumer: Any, starts: Offsets, until: Offsets) -> dict[TopicPartition, list[Any]]:
    places = [place for place in starts if starts[place] < until[place]]
    found: dict[TopicPartition, list[Any]] = {place: [] for place in places}
    consumer.assign(places)
    for place in places:
        consumer.seek(place, starts[place])
    left = set(places)
    patience = time.monotonic() + _PATIENCE_S
    # A record that was sent before its topic existed is counted there and never given out.
    while left and time.monotonic() < patience:
        for place, records in (await consumer.getmany(timeout_ms=500)).items():
            found[place] += [record for record in records if record.offset < until[place]]
            patience = time.monotonic() + _PATIENCE_S
        left = {place for place in left if await consumer.position(place) < until[place]}
    return {place: records for place, records in found.items() if records}


def _kept(place: TopicPartition, records: list[Any]) -> list[Any]:
    """In their order: of data all; the newest of each key where that is what counts; else what is young."""
    topic = _TOPICS[place.topic]
    if place.topic in READERS:
        return records
    last = records[-1]
    if topic.compacted:
        newest = {record.key: record for record in records}
        return [one for one in records if one is last or (newest[one.key] is one and one.value is not None)]
    since_ms = time.time() * 1000 - (topic.retention_ms or 0)
    young = [one for one in records if topic.retention_ms is None or one.timestamp >= since_ms]
    return young[-MOST_WORDS:] or [last]


async def _write(producer: Any, place: TopicPartition, records: Iterable[Any]) -> None:
    """Each record keeps its offset, and the last one has a batch of its own.

    The embedded broker says of a partition that it ends behind the first record of its last batch.
    """
    at = 0
    for batch in _batches(list(records)):
        if batch[0].offset > at:
            await _send(producer, place, _gap(batch[0].offset - at), at)
        await _send(producer, place, _batch(batch), batch[0].offset)
        at = batch[-1].offset + 1


def _batches(records: list[Any]) -> Iterator[list[Any]]:
    batch: list[Any] = []
    size = 0
    for record in records:
        weight = len(record.value or b"") + len(record.key or b"")
        full = size + weight > _BATCH_BYTES or record is records[-1]
        if batch and (full or record.offset != batch[-1].offset + 1):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += weight
    if batch:
        yield batch


async def _send(producer: Any, place: TopicPartition, batch: bytes, base: int) -> None:
    client = producer.client
    await client._maybe_wait_metadata()
    request = ProduceRequest(None, -1, _TIMEOUT_MS, [(place.topic, [(place.partition, batch)])])
    answer = await client.send(client.cluster.leader_for_partition(place), request)
    ((_, ((_, code, offset, *_),)),) = answer.topics
    where = f"{place.topic}[{place.partition}]"
    if code:
        raise RenewalError(f"{where}: the new broker refused: {for_code(code).__name__}")
    if offset != base:
        raise RenewalError(f"{where}: expected offset {base} at the new broker, got {offset}")


def _batch(records: list[Any]) -> bytes:
    """A record batch of consecutive records."""
    builder, first = _builder(), records[0].offset
    for record in records:
        builder.append(
            record.offset - first, timestamp=record.timestamp, key=record.key, value=record.value,
            headers=list(record.headers),
        )  # fmt: skip
    return bytes(builder.build())


def _gap(offsets: int) -> bytes:
    """A control batch, which readers skip, that takes up so many offsets."""
    builder = _builder()
    builder.append(offsets - 1, timestamp=0, key=_CONTROL_KEY, value=b"", headers=[])
    batch = bytearray(builder.build())
    struct.pack_into(">h", batch, _ATTRIBUTES_AT, _CONTROL)
    struct.pack_into(">I", batch, _CRC_AT, calc_crc32c(bytes(batch[_ATTRIBUTES_AT:])))
    return bytes(batch)


def _builder() -> Any:
    return DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1,
        batch_size=2**30,
    )  # fmt: skip


async def _commit(kafka: str, group: str, offsets: Offsets) -> None:
    if not offsets:
        return
    consumer = AIOKafkaConsumer(**reach(kafka), group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(list(offsets))
        await consumer.commit(offsets)
    finally:
        await consumer.stop()
