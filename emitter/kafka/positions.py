"""Where a reader of all partitions stands: rewinding, catching up, and noticing that a topic was replaced."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

LOOKBACK_S: Final = 3600.0
"""Commands sent while this process was starting, or the broker away, are still found."""

WATCH_EVERY_S: Final = 2.0


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


async def watch(consumer: Any, topic: str, last: dict[TopicPartition, Any]) -> None:
    """Raises when the topic is not the one that was read: a broker without a disk starts again at offset 0,
    and would hide its first messages behind the old position."""
    # A broker that is busy may answer once as if it knew of nothing.
    doubts = 0
    while True:
        await asyncio.sleep(WATCH_EVERY_S)
        partitions = consumer.assignment()
        await consumer._client.force_metadata_update()
        if consumer.partitions_for_topic(topic) != {partition.partition for partition in partitions}:
            raise KafkaError("the topic has other partitions than before")
        # Asked for first: what is read in between is beyond ends that were asked for before it.
        places = {partition: await consumer.position(partition) for partition in partitions}
        ends = await consumer.end_offsets(partitions)
        ahead = any(places[partition] > end for partition, end in ends.items())
        replaced = ahead or (last and await _replaced(consumer, dict(last)))
        doubts = doubts + 1 if replaced else 0
        if doubts > 1:
            raise KafkaError("the topic was replaced")


async def _replaced(consumer: Any, last: dict[TopicPartition, Any]) -> bool:
    """Whether a message that was read is no longer where it was. Tansu rounds timestamps up by 1 ms."""
    found = await consumer.offsets_for_times({partition: seen.timestamp for partition, seen in last.items()})
    return any(
        place is None or place.offset > seen.offset or not 0 <= place.timestamp - seen.timestamp <= 1
        for place, seen in ((found.get(partition), seen) for partition, seen in last.items())
    )
