"""Ways to handle aiokafka's clients that aiokafka lacks."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from aiokafka.errors import KafkaConnectionError, KafkaError

from emitter import _quiet

STOP_S: Final = 1.0


class _Overheard(logging.Filter):
    """Remembers what aiokafka only logs: why no broker would have us."""

    text = ""

    def filter(self, record: logging.LogRecord) -> bool:
        """True for every record."""
        if record.levelno >= logging.ERROR and _quiet.is_ours(record.thread):
            self.text = record.getMessage()
        return True


_overheard: Final = _Overheard()


def listen() -> None:
    """Begin to overhear, ahead of the filters that drop what is said in our threads."""
    filters = logging.getLogger("aiokafka").filters
    if _overheard not in filters:
        filters.insert(0, _overheard)


def reason(error: BaseException) -> str:
    """What went wrong, in the words that say most."""
    heard, _overheard.text = _overheard.text, ""
    if isinstance(error, KafkaConnectionError) and heard:
        return heard
    return str(error) or type(error).__name__


async def stop(user: Any) -> None:
    """Close a consumer or producer, also where the broker no longer answers and it would wait for it."""
    client = getattr(user, "client", None) or user._client
    try:
        await asyncio.wait_for(user.stop(), STOP_S / 2)
    except (KafkaError, OSError, asyncio.TimeoutError):
        await client.close()


async def abort(producer: Any) -> None:
    """Close a producer without delivering what waits in it."""
    producer._closed = True
    task = producer._sender.sender_task
    if task is not None:
        task.cancel()
    await producer.client.close()
    if task is not None:
        await asyncio.wait([task], timeout=STOP_S)


_disowned: Final[list[Any]] = []


def disown(producer: Any) -> None:
    """In a forked child: leave the parent's producer alone, for ever and without a complaint about it."""
    if producer is not None:
        producer._closed = True
        _disowned.append(producer)


def never_create(client: Any) -> None:
    """Have this client ask for all topics, never by name: brokers create a topic that is asked for by name,
    with a number of partitions of their own, and a broker that has just restarted has none yet.
    """
    ask = client._metadata_update
    client._metadata_update = lambda cluster, names: ask(cluster, [])
