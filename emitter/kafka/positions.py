"""Where a reader of all partitions stands: rewinding, catching up, and noticing that a topic was replaced."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from emitter.kafka.topic_ids import topic_id

LOOKBACK_S: Final = 3600.0
"""Commands sent while this process was starting, or the broker away, are still found."""

WATCH_EVERY_S: Final = 2.0
PATIENCE: Final = 5
"""So often in a row no broker may answer for the topic before the connection is made anew."""


async def rewind(consumer: Any) -> None:
    """Go back a while. Ends are asked for first: what arrives in between must not be skipped."""
    since_ms = int((time.time() - LOOKBACK_S) * 1000)
    ends = await consumer.end_offsets(consumer.assignment())
    found = await consumer.offsets_for_times(dict.fromkeys(ends, since_ms))
    for partition, end in ends.items():
        place = found.get(partition)
        consumer.seek(partition, end if place is None or place.timestamp < 0 else place.offset)


async def behind(consumer: Any, ends: dict[TopicPartition, int]) -> bool:
    """Whether there is anything left to read before these ends."""
    return any([await consumer.position(partition) < end for partition, end in ends.items()])


async def watch(consumer: Any, topic: str, first: bytes | None) -> None:
    """Raises KafkaError when the topic is not the one that was read, whose id was ``first``.

    A broker without a disk starts again at offset 0, and would hide its first messages behind the old
    position. Offsets and times do not tell: the new topic may have grown past the old one, and what the
    embedded broker says of times is not exact. Brokers that give no ids tell whoever reads past an end.
    """
    silent = 0
    while silent < PATIENCE:
        await asyncio.sleep(WATCH_EVERY_S)
        await consumer._client.force_metadata_update()
        numbers = {partition.partition for partition in consumer.assignment()}
        if consumer.partitions_for_topic(topic) != numbers:
            raise KafkaError("the topic has other partitions than before")
        now = None
        with contextlib.suppress(KafkaError):
            now = await topic_id(consumer._client, topic)
        silent = silent + 1 if now is None and first is not None else 0
        if None not in (now, first) and now != first:
            raise KafkaError("the topic was replaced")
    raise KafkaError("no broker answers for the topic")
