"""Ways to handle aiokafka's clients that aiokafka lacks."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiokafka.errors import KafkaError

STOP_S: Final = 1.0


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


def never_create(client: Any) -> None:
    """Have this client ask for all topics, never by name: brokers create a topic that is asked for by name,
    with a number of partitions of their own, and a broker that has just restarted has none yet.
    """
    ask = client._metadata_update
    client._metadata_update = lambda cluster, names: ask(cluster, [])
