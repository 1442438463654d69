"""Kafka records whose headers have names of any bytes, which aiokafka's own writer cannot say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy as Builder

Header = tuple[bytes, bytes | None]
Value = tuple[bytes, list[Header]]
NO_TEXT: Header = (b"\xff\xfe", b"v")


class _Name(str):
    """A name that goes out as these bytes."""

    raw: bytes

    def encode(self, *_: Any) -> bytes:
        """As the builder asks for it."""
        return self.raw


def _name(raw: bytes) -> _Name:
    name = _Name("x")
    name.raw = raw
    return name


def builder(records: Sequence[Value], codec: int = 0, key: bytes | None = None) -> Any:
    """Of one batch with these values and headers."""
    made = Builder(
        magic=2, compression_type=codec, is_transactional=0, producer_id=-1, producer_epoch=-1,
        base_sequence=-1, batch_size=1_000_000,
    )  # fmt: skip
    for offset, (value, pairs) in enumerate(records):
        named = [(_name(raw), content) for raw, content in pairs]
        made.append(offset, timestamp=1, key=key, value=value, headers=named)
    return made


async def send(broker: str, topic: str, records: Sequence[Value], key: bytes | None = None) -> None:
    """Produce them as one batch, to partition 0."""
    producer = AIOKafkaProducer(bootstrap_servers=broker, enable_idempotence=False)
    await producer.start()
    try:
        batch = producer.create_batch()
        batch._builder = builder(records, key=key)
        batch._relative_offset = len(records)
        await (await producer.send_batch(batch, topic, partition=0))
    finally:
        await producer.stop()
