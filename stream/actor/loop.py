"""Reads ``remediation.commands`` in a consumer group of the actor's name, one command after the other."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from emitter.signing import TrustedKeys
from emitter.vocabulary import cloudevents, topics
from emitter.vocabulary.commands import Ack
from stream.actor.duty import Duty, Task
from stream.faustkit.preflight import inspect
from stream.kafka import reach, stay
from stream.ledger.topics import reachable, whole

GROUP: Final = "trainwarden-actor-"
_POLL_S: Final = 0.5

log = logging.getLogger(__name__)


async def run(
    kafka: str, task: Task, trusted: TrustedKeys, handled: Callable[[Ack], None] = lambda ack: None
) -> None:
    """Until SIGTERM or SIGINT; a command under way is finished first. Raises UnreachableError."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await reachable(kafka)
    traits = (await inspect(kafka)).traits
    session_ms = int(traits.session_timeout_s * 1000)
    producer = AIOKafkaProducer(**reach(kafka), acks="all", enable_idempotence=False)
    consumer = AIOKafkaConsumer(
        topics.REMEDIATION_COMMANDS,
        **reach(kafka),
        group_id=f"{GROUP}{task.name}",
        enable_auto_commit=False,
        # Old commands are refused as expired; none that is still good may be missed.
        auto_offset_reset="earliest",
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=session_ms // 3,
        max_poll_interval_ms=int((task.timeout_s + 60) * 1000),
        fetch_max_wait_ms=100,
    )
    await producer.start()
    try:
        await consumer.start()
        try:
            if not traits.says_goodbye:
                stay(consumer)
            await _Loop(task, trusted, producer, consumer, handled).run(kafka, stopped)
        finally:
            await consumer.stop()
    finally:
        await producer.stop()


class _Loop:
    def __init__(
        self, task: Task, trusted: TrustedKeys, producer: Any, consumer: Any, handled: Callable[[Ack], None]
    ) -> None:
        self._producer, self._consumer, self._handled = producer, consumer, handled
        self._loop = asyncio.get_running_loop()
        self._duty = Duty(task, trusted, self._say)
        self._task = task

    def _say(self, ack: Ack) -> None:
        """From the thread of the duty: go on only once the broker has it."""
        asyncio.run_coroutine_threadsafe(self._send(ack), self._loop).result()

    async def _send(self, ack: Ack) -> None:
        while True:
            try:
                await self._producer.send_and_wait(
                    topics.REMEDIATION_ACKS, ack.encode(), key=ack.run.encode(), headers=cloudevents.HEADERS
                )
            except KafkaError as error:
                log.warning("kafka: an acknowledgement was not taken (%s); trying again", error)
                await asyncio.sleep(_POLL_S)
            else:
                return

    async def run(self, kafka: str, stopped: asyncio.Event) -> None:
        self._duty.recall(await _acks(kafka))
        log.info("%s waits for: %s", self._task.executor, ", ".join(self._task.actions))
        while not stopped.is_set():
            for records in (await self._consumer.getmany(timeout_ms=int(_POLL_S * 1000))).values():
                for record in records:
                    if stopped.is_set():
                        return
                    ack = await asyncio.to_thread(self._duty.take, record.value or b"", dict(record.headers))
                    if ack is not None:
                        log.info("%s of %s: %s", ack.command, ack.run, ack.reason or ack.state)
                        self._handled(ack)
                await self._consumer.commit()


async def _acks(kafka: str) -> list[bytes]:
    """What actors have acknowledged."""
    found = whole(kafka, topics.REMEDIATION_ACKS)
    return [value async for _, value in found if value and b"actor:" in value]
