"""The loop of every agent: read, let the pure half think, write, acknowledge."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from stream.faustkit.deadletters import DeadLetterLimitError, Limit, dead_letter
from stream.faustkit.outbox import Outbox
from stream.faustkit.outlet import Outlet
from stream.records import BadRecordError, Incoming, Outgoing, Ticks

log = logging.getLogger(__name__)

Handle = Callable[[Incoming], Sequence[Outgoing]]
"""What a stage makes of a record; ``Ticks`` where it was only the clock. Raises BadRecordError."""

Before = Callable[[Incoming], Awaitable[bool]]
"""What has to be done before a record can be handled; False where it must not be."""


class Host:
    """What agents need of their worker process: the way out, and a way to stop it for a reason."""

    def __init__(self, outlet: Outlet) -> None:
        self.outlet = outlet
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._outboxes: dict[Handle, Outbox] = {}

    def fail(self, error: BaseException) -> None:
        """Stop the worker; ``stream.worker.run`` raises this error."""
        if not self.failed.done():
            self.failed.set_exception(error)

    async def close(self) -> None:
        """End the flushing of all agents."""
        for outbox in self._outboxes.values():
            await outbox.close()

    async def consume(self, stream: Any, stage: str, handle: Handle, before: Before | None = None) -> None:
        """Read a Faust stream for ever. Nothing is acknowledged before its results are on the broker."""
        # Faust may start an agent anew; what its handler has made already must still go out.
        outbox, limit = self._outboxes.setdefault(handle, Outbox(self.outlet, self.fail)), Limit()
        try:
            async for event in stream.noack().events():
                await outbox.room()
                record = incoming(event.message)
                wanted = before is None or await before(record)
                outbox.put(event, attempt(record, stage, handle, limit) if wanted else [])
        except DeadLetterLimitError as error:
            self.fail(error)
            await asyncio.Event().wait()


def attempt(record: Incoming, stage: str, handle: Handle, limit: Limit) -> Sequence[Outgoing]:
    """What the stage makes of the record, or its dead letter. Raises DeadLetterLimitError."""
    try:
        results = handle(record)
    except BadRecordError as error:
        return [_set_aside(record, stage, str(error), limit)]
    except Exception as error:  # a bug of ours costs one record, not the worker
        log.exception("%s: unexpected error", stage)
        return [_set_aside(record, stage, f"{type(error).__name__}: {error}", limit)]
    if not isinstance(results, Ticks):
        limit.good()
    return results


def _set_aside(record: Incoming, stage: str, error: str, limit: Limit) -> Outgoing:
    limit.bad(record, error)
    log.warning(
        "%s: %s[%d] offset %d set aside: %s", stage, record.topic, record.partition, record.offset, error
    )
    return dead_letter(record, stage, error)


def incoming(message: Any) -> Incoming:
    """A Faust message as the pure halves see it; a record without a value has an empty one."""
    headers = message.headers or []
    pairs = headers.items() if hasattr(headers, "items") else headers
    return Incoming(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        value=message.value or b"",
        key=message.key,
        headers=[(name, value or b"") for name, value in pairs],
        timestamp_ms=int((message.timestamp or 0) * 1000),
    )
