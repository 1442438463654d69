"""The producer: a set of records is on the broker, in order, before ``send`` returns.

Records of one partition travel in batches that the broker takes whole or not at all, one after the
other, so a failure can repeat records but never reorder or lose one. It does not give up: while the
broker is away ``send`` waits, and the worker stops reading.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from time import perf_counter
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from emitter.vocabulary import topics as vocabulary
from stream.kafka import reach
from stream.records import Outgoing
from stream.telemetry.board import Board
from stream.telemetry.catalogue import PUBLISH_FAILED, PUBLISH_TIME, PUBLISHED

BATCH_BYTES: Final = 512 * 1024
REQUEST_TIMEOUT_S: Final = 10.0
STOP_TIMEOUT_S: Final = 2.0
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0

log = logging.getLogger(__name__)


def partition_of(key: bytes, partitions: int) -> int:
    """Where Kafka's Java client, and aiokafka, put a key."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


class Outlet:
    """Writes to our topics; ``partitions`` is the number of the co-partitioned ones.

    ``refused``: the partitions that the broker does not take records for at the moment.
    """

    def __init__(self, kafka: str, partitions: int, board: Board | None = None) -> None:
        self._kafka = kafka
        self.refused: set[tuple[str, int]] = set()
        board = board or Board()
        self._published, self._failed = board.count(PUBLISHED), board.count(PUBLISH_FAILED)
        self._times = board.times(PUBLISH_TIME)
        self._counts = {topic.name: topic.partitions or partitions for topic in vocabulary.TOPICS}
        self._producer: Any = None
        self._turn = 0

    @property
    def kafka(self) -> str:
        """The brokers it writes to."""
        return self._kafka

    @property
    def partitions(self) -> int:
        """How many partitions the co-partitioned topics have."""
        return self._counts[vocabulary.TRAIN_EVENTS]

    async def start(self) -> None:
        """Connect. Raises KafkaError when no broker answers."""
        # Tansu has no idempotent producer; repeated records are ours to recognise anyway.
        self._producer = AIOKafkaProducer(
            **reach(self._kafka), acks="all", enable_idempotence=False, max_batch_size=BATCH_BYTES,
            max_request_size=2**30, request_timeout_ms=int(REQUEST_TIMEOUT_S * 1000),
        )  # fmt: skip
        await self._producer.start()

    async def stop(self) -> None:
        """Disconnect; what was not acknowledged yet is not waited for."""
        producer, self._producer = self._producer, None
        if producer is not None:
            # It flushes first, which takes for ever without a broker.
            await asyncio.wait({asyncio.ensure_future(producer.stop())}, timeout=STOP_TIMEOUT_S)

    async def send(self, records: Sequence[Outgoing]) -> None:
        """Return once the broker has all of them; those of one partition in this order."""
        groups: dict[tuple[str, int], list[Outgoing]] = {}
        for record in records:
            groups.setdefault((record.topic, self._partition(record)), []).append(record)
        sending = [self._send_group(*place, group) for place, group in groups.items()]
        if len(sending) == 1:
            await sending[0]
        else:
            await asyncio.gather(*sending)

    def _partition(self, record: Outgoing) -> int:
        if record.partition is not None:
            return record.partition
        count = self._counts[record.topic]
        if record.key is None:
            self._turn += 1
            return self._turn % count
        return partition_of(record.key, count)

    async def _send_group(self, topic: str, partition: int, group: list[Outgoing]) -> None:
        start, pause = 0, _FIRST_PAUSE_S
        while start < len(group):
            batch, end = self._fill(group, start)
            began = perf_counter()
            try:
                await (await self._producer.send_batch(batch, topic, partition=partition))
            except KafkaError as error:
                self._failed[(topic,)] += 1
                log.error(
                    "kafka %s: %s[%d] did not take %d records (%d bytes): %s: %s; nothing is lost, "
                    "trying again in %.1f s", self._kafka, topic, partition, end - start, batch.size(),
                    type(error).__name__, error, pause,
                )  # fmt: skip
                self.refused.add((topic, partition))
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
            else:
                self.refused.discard((topic, partition))
                self._times.add((topic,), perf_counter() - began)
                self._published[(topic,)] += end - start
                start, pause = end, _FIRST_PAUSE_S

    def _fill(self, group: list[Outgoing], start: int) -> tuple[Any, int]:
        batch = self._producer.create_batch()
        end = start
        while end < len(group):
            record = group[end]
            if (
                batch.append(timestamp=None, key=record.key, value=record.value, headers=record.headers)
                is None
            ):
                break
            end += 1
        batch.close()
        return batch, end
