"""Brings what is decided to one hook: reads ``remediation.intents`` in a consumer group of its own.

A hook that is slow or away holds up nothing but itself. A record counts as read once its notice was taken,
refused or given up, so a worker that dies in between makes the next one tell it again, under the same key.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from emitter.vocabulary import topics
from stream.faustkit.preflight import BrokerTraits
from stream.kafka import reach, stay
from stream.notify import notice as notices
from stream.notify.config import Hook
from stream.notify.errors import UndeliveredError
from stream.notify.limit import Budget, HeldBack
from stream.notify.notice import Notice
from stream.notify.sender import Sender

GROUP: Final = "trainwarden-notify-"
RECALLED: Final = 2_000
"""Records before the committed one that are looked through at start, for what was told already."""
REMEMBERED: Final = 20_000
_AGAIN_S: Final = 5.0
_LOOK_S: Final = 0.5
_STOP_S: Final = 2.0

log = logging.getLogger(__name__)


@dataclass
class Counts:
    """What became of the notices of one hook."""

    sent: int = 0
    failed: int = 0
    repeated: int = 0
    held_back: int = 0


class Courier:
    """One hook. ``traits`` suit the broker's group coordinator."""

    def __init__(self, kafka: str, hook: Hook, traits: BrokerTraits | None = None) -> None:
        self.hook, self.counts = hook, Counts()
        self._kafka, self._traits = kafka, traits or BrokerTraits()
        self._held, self._budget = HeldBack(), Budget(*hook.limit)
        self._told: OrderedDict[str, None] = OrderedDict()

    async def run(self) -> None:
        """Until it is cancelled. Whatever goes wrong is logged and tried again."""
        while True:
            try:
                async with Sender(self.hook) as sender:
                    await self._follow(sender)
            except (KafkaError, OSError) as error:
                log.warning(
                    "web hook %s: kafka %s: %s: %s; trying again in %.0f s", self.hook.name, self._kafka,
                    type(error).__name__, error, _AGAIN_S,
                )  # fmt: skip
            except Exception:
                log.exception("web hook %s: unexpected error", self.hook.name)
            await asyncio.sleep(_AGAIN_S)

    async def _follow(self, sender: Sender) -> None:
        session_ms = int(self._traits.session_timeout_s * 1000)
        consumer = AIOKafkaConsumer(
            topics.REMEDIATION_INTENTS,
            **reach(self._kafka),
            group_id=f"{GROUP}{self.hook.name}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // 3,
            # While a far end is away nothing is read; that is no reason to leave the group.
            max_poll_interval_ms=int((self.hook.give_up_s + self.hook.timeout_s + 60.0) * 1000),
            fetch_max_wait_ms=200,
        )
        try:
            await consumer.start()
            if not self._traits.says_goodbye:
                stay(consumer)
            await self._read(consumer, sender)
        finally:
            with contextlib.suppress(asyncio.TimeoutError, KafkaError):
                await asyncio.wait_for(consumer.stop(), _STOP_S)

    async def _read(self, consumer: Any, sender: Sender) -> None:
        began: dict[TopicPartition, int] = {}
        while True:
            batch = await consumer.getmany(timeout_ms=int(_LOOK_S * 1000))
            if set(consumer.assignment()) != set(began):
                # Look back first: what was told before a restart must not be told again.
                began = {place: await _look_back(consumer, place) for place in consumer.assignment()}
                continue
            for place, records in batch.items():
                for record in records:
                    await self._take(record, began[place], sender, consumer)
                if records and records[-1].offset >= began[place]:
                    await consumer.commit({place: records[-1].offset + 1})
            if not batch:
                await self._tell_held_back(sender)

    async def _take(self, record: Any, began: int, sender: Sender, consumer: Any) -> None:
        notice = notices.read(record.value or b"")
        if notice is None or not self.hook.wants(notice):
            return
        if record.offset < began or notice.id in self._told:
            self.counts.repeated += record.offset >= began
            self._remember(notice)
            return
        if await self._tell(notice, record.timestamp, sender):
            await consumer.commit({TopicPartition(record.topic, record.partition): record.offset + 1})
        self._remember(notice)

    async def _tell(self, notice: Notice, written_ms: int, sender: Sender) -> bool:
        """Whether it was tried at all."""
        if time.time() - written_ms / 1000 > self.hook.max_age_s or not self._budget.take(time.monotonic()):
            self._held.add(notice)
            self.counts.held_back += 1
            return False
        await self._deliver(notices.with_held_back(notice, self._held.drain()), sender)
        return True

    async def _deliver(self, notice: Notice, sender: Sender) -> None:
        try:
            await sender.deliver(notice)
        except UndeliveredError as error:
            self.counts.failed += 1
            log.error(
                "web hook %s (%s): %s about %s was not delivered: %s (%d so far)", self.hook.name,
                self.hook.host, notice.event, notice.run or "everything", error, self.counts.failed,
            )  # fmt: skip
        else:
            self.counts.sent += 1

    async def _tell_held_back(self, sender: Sender) -> None:
        if len(self._held) and self._budget.take(time.monotonic()):
            await self._deliver(self._held.summary(self.hook.name, time.time_ns()), sender)

    def _remember(self, notice: Notice) -> None:
        self._told[notice.id] = None
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)


async def _look_back(consumer: Any, place: TopicPartition) -> int:
    """Seek back a little; the offset at which what is new begins."""
    committed = await consumer.committed(place)
    if committed is None:
        consumer.seek(place, (await consumer.beginning_offsets([place]))[place])
        return 0
    beginnings, ends = await consumer.beginning_offsets([place]), await consumer.end_offsets([place])
    if not beginnings[place] <= committed <= ends[place]:
        # The topic was made anew, or lost what was not read: begin where it begins.
        consumer.seek(place, beginnings[place])
        return 0
    consumer.seek(place, max(beginnings[place], committed - RECALLED))
    return int(committed)
