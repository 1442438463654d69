"""The ledger from the topics themselves: as far as they reach back, and then as it happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from stream.kafka import knock, reach
from stream.ledger import book as books
from stream.ledger.book import Book, Record
from stream.ledger.errors import UnreachableError
from stream.records import Outgoing

SEND_TIMEOUT_S: Final = 15.0
UNREADABLE_S: Final = 10.0
_CURE: Final = "is it running? (--kafka HOST:PORT, TRAINWARDEN_KAFKA, or `trainwarden up`)"

Seen = Callable[[str, Record], None]


async def reachable(kafka: str) -> None:
    """Raises UnreachableError where no broker takes a connection."""
    try:
        await asyncio.wait_for(knock(kafka), SEND_TIMEOUT_S)
    except (OSError, asyncio.TimeoutError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "no answer"
        raise UnreachableError(f"the broker {kafka} does not answer ({reason}); {_CURE}") from None


class _Patience:
    """The embedded broker counts what came before a topic was there, and never gives it out."""

    def __init__(self) -> None:
        self._at: dict[Any, int] = {}
        self._since = time.monotonic()

    async def lasts(self, consumer: Any, ends: dict[Any, int]) -> bool:
        """Whether there is more to come, and some of it came lately."""
        at = {place: await consumer.position(place) for place in ends}
        if at != self._at:
            self._at, self._since = at, time.monotonic()
        behind = any(at[place] < end for place, end in ends.items())
        return behind and time.monotonic() - self._since < UNREADABLE_S


class Feed:
    """Reads topics without a group. ``past`` says whether from their beginning or from now on."""

    def __init__(self, kafka: str, names: Sequence[str] = books.TOPICS, *, past: bool = True) -> None:
        self._kafka, self._names, self._past = kafka, names, past
        self._consumer: Any = None

    async def __aenter__(self) -> Feed:
        await reachable(self._kafka)
        self._consumer = AIOKafkaConsumer(
            *self._names,
            **reach(self._kafka),
            group_id=None,
            auto_offset_reset="earliest" if self._past else "latest",
            fetch_max_wait_ms=50,
        )
        try:
            await self._consumer.start()
            if not self._past:
                # "Latest" is looked up lazily; what is written from here on must not be missed.
                await self._consumer.seek_to_end()
                for place in self._consumer.assignment():
                    await self._consumer.position(place)
        except KafkaError as error:
            await self._consumer.stop()
            raise UnreachableError(f"the broker {self._kafka}: {error}; {_CURE}") from None
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def more(self, seen: Seen, wait_s: float = 0.2) -> None:
        """Hand on what has come, waiting a little where nothing has."""
        for records in (await self._consumer.getmany(timeout_ms=int(wait_s * 1000))).values():
            for record in records:
                found = books.read(record.value or b"")
                if found is not None:
                    seen(*found)

    async def until_now(self, seen: Seen) -> None:
        """Hand on everything that is there at this moment."""
        ends = await self._consumer.end_offsets(sorted(self._consumer.assignment()))
        patience = _Patience()
        while await patience.lasts(self._consumer, ends):
            await self.more(seen)


async def whole(kafka: str, topic: str) -> AsyncIterator[tuple[bytes | None, bytes | None]]:
    """Key and value of everything that a topic holds at this moment. Raises UnreachableError."""
    await reachable(kafka)
    consumer = AIOKafkaConsumer(
        topic, **reach(kafka), group_id=None, auto_offset_reset="earliest", fetch_max_wait_ms=50
    )
    await consumer.start()
    try:
        ends = await consumer.end_offsets(sorted(consumer.assignment()))
        patience = _Patience()
        while await patience.lasts(consumer, ends):
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                for record in batch:
                    yield record.key, record.value
    finally:
        await consumer.stop()


async def read_all(kafka: str, names: Sequence[str] = books.TOPICS) -> Book:
    """The whole ledger as far as the topics hold it. Raises UnreachableError."""
    book = Book()
    async with Feed(kafka, names) as feed:
        await feed.until_now(book.add)
    return book


async def follow(feed: Feed, seen: Seen, enough: Callable[[], bool], timeout_s: float) -> bool:
    """Read on until there is enough; whether that was in time."""
    deadline = time.monotonic() + timeout_s
    while not enough():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        await feed.more(seen, min(0.2, left))
    return True


async def write(kafka: str, record: Outgoing) -> None:
    """Return once the broker has it. Raises UnreachableError."""
    async with _producer(kafka) as producer:
        try:
            await producer.send_and_wait(
                record.topic, record.value, key=record.key, partition=record.partition, headers=record.headers
            )
        except KafkaError as error:
            raise UnreachableError(f"the broker {kafka} did not take it: {error}; {_CURE}") from None


@asynccontextmanager
async def _producer(kafka: str) -> AsyncIterator[Any]:
    await reachable(kafka)
    producer = AIOKafkaProducer(
        **reach(kafka), acks="all", enable_idempotence=False,
        request_timeout_ms=int(SEND_TIMEOUT_S * 1000),
    )  # fmt: skip
    try:
        await producer.start()
    except KafkaError as error:
        raise UnreachableError(f"the broker {kafka}: {error}; {_CURE}") from None
    try:
        yield producer
    finally:
        await producer.stop()
