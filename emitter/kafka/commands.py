"""Commands and acknowledgements over Kafka.

All partitions are read without a consumer group: every emitter sees every command and keeps its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections import deque
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from emitter._commands import Commander
from emitter._endpoints import first_host, is_loopback
from emitter._guard import guard, logger
from emitter.kafka import loop
from emitter.kafka.client import STOP_S, never_create, stop
from emitter.kafka.eager import NEAR_WAIT_MS, Eager
from emitter.kafka.headers import take_any_in
from emitter.kafka.positions import behind, rewind, watch
from emitter.kafka.settings import KafkaSettings
from emitter.kafka.topic_ids import topic_id
from emitter.vocabulary import cloudevents, commands, topics
from emitter.vocabulary.commands import Ack

OUTBOX: Final = 1024
UNREADABLE_S: Final = 3.0
CONNECT_S: Final = 30.0
FIRST_WAIT_S: Final = 0.25
LONGEST_WAIT_S: Final = 10.0
FAR_WAIT_MS: Final = 500


class KafkaLink:
    """Feeds a Commander. A broker that is away costs one warning; the link keeps trying for ever."""

    def __init__(self, settings: KafkaSettings, commander: Commander, run: str, rank: int) -> None:
        self._brokers, self._options = settings.brokers, settings.client()
        self._commander, self._run_id, self._rank = commander, run, rank
        self._outbox: deque[Ack] = deque(maxlen=OUTBOX)
        self._closing = threading.Event()
        self._warned = False
        self._connected = False
        self._more: asyncio.Event | None = None
        self._eager = Eager(_is_near(settings.brokers))
        self._thread: loop.LoopThread | None = None
        self._serving: Future[None] | None = None
        self._task: asyncio.Task[Any] | None = None

    def start(self) -> None:
        """Begin to listen in the background."""
        self._thread = loop.acquire()
        self._serving = self._thread.submit(self._keep_trying())

    def send(self, ack: Ack) -> None:
        """Queue an acknowledgement; from any thread."""
        self._outbox.append(ack)
        self._wake()

    def expect(self) -> None:
        """A command may come soon; from any thread."""
        if (thread := self._thread) is not None:
            self._eager.expect(thread.loop)

    def close(self, timeout_s: float) -> None:
        """Send the acknowledgements that wait, for at most this long, and stop."""
        self._closing.set()
        thread, self._thread = self._thread, None
        if thread is None or self._serving is None:
            return
        self._wake(thread)
        # Without a connection there is nothing to finish.
        if self._connected:
            _wait(self._serving, max(0.0, timeout_s - STOP_S))
        with contextlib.suppress(RuntimeError):
            _wait(thread.submit(self._halt()), STOP_S)
        loop.release(thread, STOP_S)

    async def _halt(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _wake(self, thread: loop.LoopThread | None = None) -> None:
        thread = thread or self._thread
        if thread is not None and self._more is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nothing is sent any more
                thread.loop.call_soon_threadsafe(self._more.set)

    async def _keep_trying(self) -> None:
        self._task, self._more = asyncio.current_task(), asyncio.Event()
        wait_s = FIRST_WAIT_S
        while not self._closing.is_set():
            try:
                await self._serve()
                return
            except asyncio.CancelledError as error:
                if self._closing.is_set():
                    raise
                # aiokafka cancels what waits on a connection that it closes.
                self._warn(error)
            except (KafkaError, OSError, asyncio.TimeoutError) as error:
                self._warn(error)
            except Exception:
                with guard:
                    raise
            wait_s = FIRST_WAIT_S if self._connected else min(wait_s * 2, LONGEST_WAIT_S)
            self._connected = False
            # An own source of chance: the trainer's random state is not ours to advance.
            await asyncio.sleep(wait_s * random.SystemRandom().uniform(0.8, 1.2))

    def _warn(self, error: BaseException) -> None:
        if not self._warned:
            logger.warning(
                "cannot read commands from kafka://%s (%s: %s); training goes on, trying again in the "
                "background", self._brokers, type(error).__name__, error,
            )  # fmt: skip
        self._warned = True

    async def _serve(self) -> None:
        """Connect, catch up, read and acknowledge until closed. Raises KafkaError when the line breaks."""
        async with contextlib.AsyncExitStack() as stack:
            consumer, producer, topic = await asyncio.wait_for(self._connect(stack), CONNECT_S)
            if self._warned:
                logger.info("commands are read again from kafka://%s", self._brokers)
            self._warned, self._connected = False, True
            await self._work(consumer, producer, topic)

    async def _connect(self, stack: contextlib.AsyncExitStack) -> tuple[Any, Any, bytes | None]:
        producer = AIOKafkaProducer(acks="all", enable_idempotence=False, **self._options)
        never_create(producer.client)
        stack.push_async_callback(stop, producer)
        await producer.start()
        async with contextlib.AsyncExitStack() as for_now:
            reader = await self._reader(topics.REMEDIATION_ACKS, for_now)
            await rewind(reader)
            await self._learn_outcomes(reader)
        reader = await self._reader(topics.REMEDIATION_COMMANDS, stack)
        # Asked for before positions are, which are this topic's then or another's that gets noticed.
        topic = await topic_id(reader._client, topics.REMEDIATION_COMMANDS)
        await rewind(reader)
        return reader, producer, topic

    async def _work(self, consumer: Any, producer: Any, topic: bytes | None) -> None:
        tasks = [
            asyncio.ensure_future(part)
            for part in (
                self._write(producer),
                self._read(consumer),
                self._eager.run(consumer),
                watch(consumer, topics.REMEDIATION_COMMANDS, topic),
            )
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, consumer: Any) -> None:
        while True:
            message = await consumer.getone()
            position = (message.partition, message.offset, message.timestamp)
            self._commander.receive(message.value, position, dict(message.headers), message.key)

    async def _write(self, producer: Any) -> None:
        """One at a time, so that the stages of a command arrive in order. Ends when closing and empty."""
        assert self._more is not None
        while True:
            while self._outbox:
                ack = self._outbox[0]
                await producer.send_and_wait(
                    topics.REMEDIATION_ACKS, ack.encode(), key=ack.run.encode(), headers=cloudevents.HEADERS
                )
                with contextlib.suppress(IndexError, ValueError):
                    self._outbox.remove(ack)
            if self._closing.is_set():
                return
            self._more.clear()
            if not self._outbox and not self._closing.is_set():
                await self._more.wait()

    async def _learn_outcomes(self, consumer: Any) -> None:
        """What a predecessor with the same run and attempt has already ended or begun is not run again."""
        ends = await consumer.end_offsets(consumer.assignment())
        patience = time.monotonic() + UNREADABLE_S
        # Tansu counts what is produced before a topic exists, and never gives it out: do not wait for it.
        while await behind(consumer, ends) and time.monotonic() < patience:
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                patience = time.monotonic() + UNREADABLE_S
                for message in batch:
                    self._learn(message.value)

    def _learn(self, payload: bytes) -> None:
        try:
            ack = commands.decode_ack(payload)
        except cloudevents.CloudEventError:
            return
        if ack.run == self._run_id and ack.rank == self._rank and ack.executor == "emitter":
            self._commander.recall(ack)

    async def _reader(self, topic: str, stack: contextlib.AsyncExitStack) -> Any:
        """A consumer of all partitions, at their beginnings. KafkaError without the topic."""
        consumer = AIOKafkaConsumer(
            group_id=None, enable_auto_commit=False, auto_offset_reset="earliest",
            fetch_max_wait_ms=NEAR_WAIT_MS if _is_near(self._brokers) else FAR_WAIT_MS, **self._options,
        )  # fmt: skip
        never_create(consumer._client)
        stack.push_async_callback(stop, consumer)
        await consumer.start()
        take_any_in(consumer)
        await consumer._client.force_metadata_update()
        numbers = consumer.partitions_for_topic(topic)
        if not numbers:
            raise KafkaError(f"topic {topic} does not exist; `trainwarden topics apply` creates it")
        consumer.assign([TopicPartition(topic, number) for number in numbers])
        return consumer


def _wait(future: Future[None], timeout_s: float) -> None:
    with contextlib.suppress(FutureTimeoutError, CancelledError):
        future.result(timeout_s)


def _is_near(brokers: str) -> bool:
    """Kafka answers a waiting fetch at once; the embedded broker, on loopback, only when its wait is over."""
    return is_loopback(first_host(brokers))
