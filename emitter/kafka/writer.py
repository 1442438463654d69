"""Writes messages to topics from a thread that may wait: in time or not at all.

A producer that failed is thrown away together with what it still holds, and the next call makes a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
from collections.abc import Sequence
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import BrokerResponseError, IncompatibleBrokerVersion, KafkaError, KafkaTimeoutError

from emitter.kafka import client, loop
from emitter.kafka.settings import KafkaSettings

GRACE_S: Final = 1.0
"""How much longer than its own deadline a call is waited for; only a stuck event loop needs it."""

ROOM: Final = 4096
"""Bytes around a message: batch header, key, headers."""


class Message(NamedTuple):
    """One Kafka record."""

    key: bytes | None
    value: bytes


class Writer:
    """``write`` may be called by one thread at a time, also in a forked child; nothing connects before."""

    def __init__(self, settings: KafkaSettings, *, create_topics: bool) -> None:
        self._settings, self._create_topics = settings, create_topics
        self._client = settings.client()
        client.listen()
        self._loop: loop.LoopThread | None = None
        self._producer: Any = None
        self._idempotent = True
        self._pid = 0
        self._doing = ""
        self._closed = False
        self._ending: set[asyncio.Task[None]] = set()

    def write(self, topic: str, messages: Sequence[Message], timeout_s: float) -> None:
        """Deliver to all in-sync replicas. Raises KafkaError or OSError."""
        try:
            future = self._own().submit(self._in_time(topic, messages, timeout_s))
        except RuntimeError:
            raise KafkaError("closed") from None
        try:
            future.result(timeout_s + GRACE_S)
        except (asyncio.TimeoutError, FutureTimeoutError):
            future.cancel()
            raise KafkaTimeoutError(f"no answer within {timeout_s:.1f} s while {self._doing}") from None
        except CancelledError:
            # aiokafka cancels what waits on a connection that it closes.
            raise KafkaError("the connection was closed") from None

    def close(self, timeout_s: float) -> None:
        """Close the connections and let go of the thread; calls under way and later ones fail."""
        self._closed = True
        held, self._loop = self._loop, None
        producer, self._producer = self._producer, None
        if held is None:
            return
        if self._pid != os.getpid():
            client.disown(producer)
            return
        if producer is not None:
            with contextlib.suppress(RuntimeError, FutureTimeoutError):
                held.submit(client.abort(producer)).result(timeout_s)
        loop.release(held, timeout_s)

    def _own(self) -> loop.LoopThread:
        """Take part in the loop of this process; what a parent process opened stays untouched."""
        if self._closed:
            raise KafkaError("closed")
        if self._pid != os.getpid():
            client.disown(self._producer)
            self._pid, self._loop, self._producer = os.getpid(), None, None
        if self._loop is None:
            self._loop = loop.acquire()
        return self._loop

    async def _in_time(self, topic: str, messages: Sequence[Message], timeout_s: float) -> None:
        try:
            await asyncio.wait_for(self._deliver(topic, messages, timeout_s), timeout_s)
        except BaseException:
            self._drop()
            raise

    async def _deliver(self, topic: str, messages: Sequence[Message], timeout_s: float) -> None:
        self._doing = "connecting"
        producer = self._producer or await self._connect()
        # Whoever instruments aiokafka must not see what we send: its spans would be sent too, and so on.
        send = inspect.unwrap(AIOKafkaProducer.send)
        await self._find(producer.client, topic)
        self._doing = "waiting for acknowledgements"
        futures = [await send(producer, topic, message.value, message.key) for message in messages]
        for future in futures:
            await future

    def _drop(self) -> None:
        """Nobody waits for the end of a producer that failed."""
        producer, self._producer = self._producer, None
        if producer is not None:
            task = asyncio.ensure_future(client.abort(producer))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _find(self, cluster: Any, topic: str) -> None:
        """Wait for a topic that may be created; raise KafkaError at once for one that must be there."""
        if cluster.cluster.partitions_for_topic(topic) is not None:
            return
        self._doing = f"waiting for topic {topic}, which may not exist"
        if self._create_topics:
            await cluster._wait_on_metadata(topic)
            return
        await cluster.force_metadata_update()
        if cluster.cluster.partitions_for_topic(topic) is None:
            raise KafkaError(f"topic {topic} does not exist; `trainwarden topics apply` creates it")

    async def _connect(self) -> Any:
        """A producer that is connected; idempotent unless the broker will not have it."""
        try:
            return await self._open()
        except (BrokerResponseError, IncompatibleBrokerVersion):
            if not self._idempotent:
                raise
            # Tansu does not know InitProducerId; Kafka before 2.8 wants a permission for it.
            self._idempotent = False
        self._drop()
        return await self._open()

    async def _open(self) -> Any:
        settings = self._settings
        self._producer = producer = AIOKafkaProducer(
            acks="all", enable_idempotence=self._idempotent,
            compression_type=None if settings.compression == "none" else settings.compression,
            max_request_size=settings.max_message_bytes + ROOM, **self._client,
        )  # fmt: skip
        if not self._create_topics:
            client.never_create(producer.client)
        await producer.start()
        return producer
