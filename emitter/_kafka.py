"""Commands and acknowledgements over Kafka: one thread with an event loop of its own.

All partitions are read without a consumer group: every emitter sees every command and keeps its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections import deque
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from emitter import _quiet
from emitter._commands import Commander
from emitter._endpoints import first_host, is_loopback
from emitter._guard import guard, logger
from emitter.vocabulary import cloudevents, commands, topics
from emitter.vocabulary.commands import Ack

LOOKBACK_S: Final = 3600.0
"""Commands sent while this process was starting, or the broker away, are still found."""

OUTBOX: Final = 1024
WATCH_EVERY_S: Final = 2.0
UNREADABLE_S: Final = 3.0
STOP_S: Final = 1.0
CONNECT_S: Final = 30.0
FIRST_WAIT_S: Final = 0.25
LONGEST_WAIT_S: Final = 10.0
NEAR_WAIT_MS: Final = 30
FAR_WAIT_MS: Final = 500


class KafkaLink:
    """Feeds a Commander. A broker that is away costs one warning; the link keeps trying for ever."""

    def __init__(self, bootstrap: str, commander: Commander, run: str, rank: int) -> None:
        self._bootstrap, self._commander, self._run_id, self._rank = bootstrap, commander, run, rank
        self._outbox: deque[Ack] = deque(maxlen=OUTBOX)
        self._loop = asyncio.new_event_loop()
        self._more = asyncio.Event()
        self._closing = threading.Event()
        self._warned = False
        self._connected = False
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._main, name="trainwarden-commands", daemon=True)
        _quiet.quiet("aiokafka")

    def start(self) -> None:
        """Begin to listen in the background."""
        self._thread.start()

    def send(self, ack: Ack) -> None:
        """Queue an acknowledgement; from any thread."""
        self._outbox.append(ack)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nothing is sent any more
            self._loop.call_soon_threadsafe(self._more.set)

    def close(self, timeout_s: float) -> None:
        """Send the acknowledgements that wait, for at most this long, and stop."""
        self._closing.set()
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._end)
            self._thread.join(max(0.0, timeout_s - STOP_S))
            if self._thread.is_alive() and self._task is not None:
                self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(STOP_S)

    def _end(self) -> None:
        """Let the writer finish; without a connection there is nothing to finish."""
        self._more.set()
        if not self._connected and self._task is not None:
            self._task.cancel()

    def _main(self) -> None:
        _quiet.ours()
        asyncio.set_event_loop(self._loop)
        try:
            with guard, contextlib.suppress(asyncio.CancelledError):
                self._task = self._loop.create_task(self._keep_trying())
                self._loop.run_until_complete(self._task)
        finally:
            self._sweep()
            _quiet.done()

    def _sweep(self) -> None:
        """Connections that were being opened when the end came leave tasks behind."""
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _keep_trying(self) -> None:
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
                "background", self._bootstrap, type(error).__name__, error,
            )  # fmt: skip
        self._warned = True

    async def _serve(self) -> None:
        """Connect, catch up, read and acknowledge until closed. Raises KafkaError when the line breaks."""
        async with contextlib.AsyncExitStack() as stack:
            consumer, producer = await asyncio.wait_for(self._connect(stack), CONNECT_S)
            if self._warned:
                logger.info("commands are read again from kafka://%s", self._bootstrap)
            self._warned, self._connected = False, True
            await self._work(consumer, producer)

    async def _connect(self, stack: contextlib.AsyncExitStack) -> tuple[Any, Any]:
        producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap, acks="all", enable_idempotence=False)
        _never_create(producer.client)
        stack.push_async_callback(_stop, producer, producer.client)
        await producer.start()
        async with contextlib.AsyncExitStack() as for_now:
            await self._learn_outcomes(await self._reader(topics.REMEDIATION_ACKS, for_now))
        return await self._reader(topics.REMEDIATION_COMMANDS, stack), producer

    async def _work(self, consumer: Any, producer: Any) -> None:
        last: dict[TopicPartition, Any] = {}
        tasks = [
            asyncio.ensure_future(part)
            for part in (self._write(producer), self._read(consumer, last), _watch(consumer, last))
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, consumer: Any, last: dict[TopicPartition, Any]) -> None:
        while True:
            message = await consumer.getone()
            self._commander.receive(message.value, (message.partition, message.offset, message.timestamp))
            last[TopicPartition(message.topic, message.partition)] = message

    async def _write(self, producer: Any) -> None:
        """One at a time, so that the stages of a command arrive in order. Ends when closing and empty."""
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
        while await _behind(consumer, ends) and time.monotonic() < patience:
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
        """A consumer of all partitions, put where the lookback begins. KafkaError without the topic."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap, group_id=None, enable_auto_commit=False,
            auto_offset_reset="earliest", fetch_max_wait_ms=_fetch_wait_ms(self._bootstrap),
        )  # fmt: skip
        _never_create(consumer._client)
        stack.push_async_callback(_stop, consumer, consumer._client)
        await consumer.start()
        await consumer._client.force_metadata_update()
        numbers = consumer.partitions_for_topic(topic)
        if not numbers:
            raise KafkaError(f"topic {topic} does not exist; `trainwarden topics apply` creates it")
        consumer.assign([TopicPartition(topic, number) for number in numbers])
        await _rewind(consumer)
        return consumer


async def _stop(user: Any, client: Any) -> None:
    """Close, also where the broker no longer answers and a producer would wait for it."""
    try:
        await asyncio.wait_for(user.stop(), STOP_S / 2)
    except (KafkaError, OSError, asyncio.TimeoutError):
        await client.close()


def _never_create(client: Any) -> None:
    """Have this client ask for all topics, never by name: brokers create a topic that is asked for by name,
    with a number of partitions of their own, and a broker that has just restarted has none yet.
    """
    ask = client._metadata_update
    client._metadata_update = lambda cluster, names: ask(cluster, [])


async def _rewind(consumer: Any) -> None:
    """Go back a while. Ends are asked for first: what arrives in between must not be skipped."""
    since_ms = int((time.time() - LOOKBACK_S) * 1000)
    ends = await consumer.end_offsets(consumer.assignment())
    found = await consumer.offsets_for_times(dict.fromkeys(ends, since_ms))
    for partition, end in ends.items():
        place = found.get(partition)
        consumer.seek(partition, end if place is None or place.timestamp < 0 else place.offset)


async def _watch(consumer: Any, last: dict[TopicPartition, Any]) -> None:
    """Raises when the topic is not the one that was read: a broker without a disk starts again at offset 0,
    and would hide its first messages behind the old position."""
    while True:
        await asyncio.sleep(WATCH_EVERY_S)
        partitions = consumer.assignment()
        await consumer._client.force_metadata_update()
        numbers = consumer.partitions_for_topic(topics.REMEDIATION_COMMANDS)
        if numbers != {partition.partition for partition in partitions}:
            raise KafkaError("the topic has other partitions than before")
        ends = await consumer.end_offsets(partitions)
        if await _ahead(consumer, ends) or (last and await _replaced(consumer, dict(last))):
            raise KafkaError("the topic was replaced")


async def _ahead(consumer: Any, ends: dict[TopicPartition, int]) -> bool:
    return any([await consumer.position(partition) > end for partition, end in ends.items()])


async def _replaced(consumer: Any, last: dict[TopicPartition, Any]) -> bool:
    """Whether a message that was read is no longer where it was. Tansu rounds timestamps up by 1 ms."""
    found = await consumer.offsets_for_times({partition: seen.timestamp for partition, seen in last.items()})
    return any(
        place is None or place.offset > seen.offset or not 0 <= place.timestamp - seen.timestamp <= 1
        for place, seen in ((found.get(partition), seen) for partition, seen in last.items())
    )


async def _behind(consumer: Any, ends: dict[TopicPartition, int]) -> bool:
    return any([await consumer.position(partition) < end for partition, end in ends.items()])


def _fetch_wait_ms(bootstrap: str) -> int:
    """Kafka answers a waiting fetch at once; the embedded broker, on loopback, only when its wait is over."""
    return NEAR_WAIT_MS if is_loopback(first_host(bootstrap)) else FAR_WAIT_MS
