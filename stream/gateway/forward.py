"""The way to Kafka: one producer that is replaced when it fails, and the gateway's beacons."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from emitter.vocabulary import topics
from stream import kafka, steady
from stream.gateway.errors import UnavailableError
from stream.otlp import beacon

_log = logging.getLogger(__name__)

PRODUCE_TIMEOUT_S: Final = 5.0
BEACON_INTERVAL_S: Final = 5.0
BEACON_GRACE_S: Final = 15.0
"""After a gap, emitters first get this long to send what they kept: a beacon says all before it has come."""

_RETRY_S: Final = 0.5
_STOP_TIMEOUT_S: Final = 10.0
# A producer whose task died fails with something that is no KafkaError; it is replaced all the same.
_FAILURES: Final = (KafkaError, OSError, asyncio.TimeoutError, AssertionError)


class Forwarder:
    """Writes messages with acks=all. ``problem`` says why it cannot at the moment; None when it can."""

    def __init__(self, bootstrap: str, gateway_id: str, beacon_grace_s: float = BEACON_GRACE_S) -> None:
        self._bootstrap = bootstrap
        self._gateway_id = gateway_id
        self._grace_s = beacon_grace_s
        self._headers = [(topics.HEADER_GATEWAY, gateway_id.encode())]
        self._producer: AIOKafkaProducer | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._stopping: set[asyncio.Task[None]] = set()
        self._first_beacon_at = 0.0
        self.problem: str | None = f"kafka {bootstrap}: not connected yet"

    @property
    def ended(self) -> bool:
        """Whether nobody keeps at it any more, which no failure of Kafka's brings about."""
        return self._watcher is not None and self._watcher.done() and not self._watcher.cancelled()

    def start(self) -> None:
        """Begin to connect, and keep at it."""
        self._watcher = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Deliver what was handed over, then close."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await _close(producer)
        await asyncio.gather(*self._stopping)

    async def send(
        self, topic: str, values: list[bytes], key: bytes | None, headers: list[Any] | None = None
    ) -> None:
        """Return once all are acknowledged. Raises UnavailableError; then some may have been written."""
        producer = self._producer
        if producer is None:
            raise UnavailableError(self.problem or "stopping")
        try:
            await _deliver(producer, topic, values, key, self._headers if headers is None else headers)
        except _FAILURES as error:
            self._lose(producer, error)
            raise UnavailableError(f"kafka {self._bootstrap}: {_describe(error)}; send again later") from None

    def _lose(self, producer: AIOKafkaProducer, error: BaseException) -> None:
        if self._producer is not producer:
            return
        self._producer = None
        self._report(f"kafka {self._bootstrap}: {_describe(error)}")
        task = asyncio.create_task(_close(producer))
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)

    def _report(self, problem: str) -> None:
        if problem != self.problem:
            _log.warning("%s; requests are answered 503 until it works again", problem)
        self.problem = problem

    async def _watch(self) -> None:
        while True:
            if self._producer is None:
                await self._connect()
            else:
                await self._beacon(self._producer)
            await asyncio.sleep(_RETRY_S if self._producer is None else BEACON_INTERVAL_S)

    async def _connect(self) -> None:
        producer = None
        try:
            await asyncio.wait_for(kafka.knock(self._bootstrap), PRODUCE_TIMEOUT_S)
            producer = _producer(self._bootstrap)
            await asyncio.wait_for(producer.start(), 2 * PRODUCE_TIMEOUT_S)
            await asyncio.wait_for(_require_topics(producer), PRODUCE_TIMEOUT_S)
        except _FAILURES as error:
            self._report(f"kafka {self._bootstrap}: {_describe(error)}")
            if producer is not None:
                await _close(producer)
            return
        _log.info("connected to kafka %s", self._bootstrap)
        self._producer, self.problem = producer, None
        self._first_beacon_at = time.monotonic() + self._grace_s

    async def _beacon(self, producer: AIOKafkaProducer) -> None:
        if time.monotonic() < self._first_beacon_at:
            return
        value = beacon.beacon_request(steady.unix_ns(), gateway_id=self._gateway_id)
        try:
            partitions = await producer.partitions_for(topics.OTLP_LOGS)
            for partition in sorted(partitions):
                await producer.send_and_wait(
                    topics.OTLP_LOGS, value, partition=partition, headers=self._headers
                )
        except _FAILURES as error:
            self._lose(producer, error)


def _producer(bootstrap: str) -> AIOKafkaProducer:
    # Tansu does not know idempotent producers; duplicates of a retry are told apart by train.seq.
    return AIOKafkaProducer(
        **kafka.reach(bootstrap), client_id="trainwarden-gateway", acks="all", enable_idempotence=False,
        max_batch_size=512 * 1024, max_request_size=2 * 1024 * 1024,
        request_timeout_ms=int(PRODUCE_TIMEOUT_S * 1000),
    )  # fmt: skip


async def _require_topics(producer: AIOKafkaProducer) -> None:
    # Asking for one topic by name could create it, with a wrong number of partitions.
    known = (await producer.client.fetch_all_metadata()).topics()
    missing = [name for name in topics.OTLP_TOPICS if name not in known]
    if missing:
        raise KafkaError(f"no topic {', '.join(missing)}: run `trainwarden topics apply`")


async def _deliver(
    producer: AIOKafkaProducer, topic: str, values: list[bytes], key: bytes | None, headers: list[Any]
) -> None:
    async def deliver(value: bytes) -> None:
        await producer.send_and_wait(topic, value, key=key, headers=headers)

    ends = await asyncio.gather(*map(deliver, values), return_exceptions=True)
    for end in ends:
        if isinstance(end, BaseException):
            raise end


async def _close(producer: AIOKafkaProducer) -> None:
    try:
        await asyncio.wait_for(producer.stop(), _STOP_TIMEOUT_S)
    except _FAILURES as error:
        _log.warning("a Kafka producer did not close cleanly: %s", _describe(error))


def _describe(error: BaseException) -> str:
    name, text = type(error).__name__, str(error)
    return text if text.startswith(name) else f"{name}: {text}".removesuffix(": ")
