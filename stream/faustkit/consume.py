"""The loop of every agent: read, let the pure half think, write, acknowledge."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import Any, NamedTuple

from stream.faustkit.deadletters import DeadLetterLimitError, Limit, dead_letter
from stream.faustkit.outbox import Outbox
from stream.faustkit.outlet import Outlet
from stream.records import BadRecordError, Incoming, Outgoing, Ticks
from stream.telemetry.board import Board
from stream.telemetry.catalogue import DEAD, OUTBOX, STAGE_RECORDS, STAGE_TIME

log = logging.getLogger(__name__)

Handle = Callable[[Incoming], Sequence[Outgoing]]
"""What a stage makes of a record; ``Ticks`` where it was only the clock. Raises BadRecordError."""

Before = Callable[[Incoming], Awaitable[bool]]
"""What has to be done before a record can be handled; False where it must not be."""


class Duty(NamedTuple):
    """What a stage does with each record of a stream, once ``before`` has let it."""

    stage: str
    handle: Handle
    before: Before | None = None


class Host:
    """What agents need of their worker process: the way out, a way to stop it for a reason, a board."""

    def __init__(self, outlet: Outlet, board: Board | None = None) -> None:
        self.outlet = outlet
        self.board = board or Board()
        self.waits_for: list[Callable[[], str | None]] = [self._others]
        """Each says who else holds this worker up; None where nobody does."""
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._outboxes: dict[Handle, Outbox] = {}
        self._learning = 0
        self._places: dict[Handle, tuple[str, str]] = {}
        self._records, self._times = self.board.count(STAGE_RECORDS), self.board.times(STAGE_TIME)
        self.board.read(OUTBOX, self._depths)

    def fail(self, error: BaseException) -> None:
        """Stop the worker; ``stream.worker.run`` raises this error."""
        if not self.failed.done():
            self.failed.set_exception(error)

    def held_up(self) -> str | None:
        """Who else this worker waits for, so that starting it anew would not help."""
        return next((said for ask in self.waits_for if (said := ask()) is not None), None)

    async def flushed(self, handle: Handle) -> None:
        """Return once all that this handler has made so far is on the broker."""
        if handle in self._outboxes:
            await self._outboxes[handle].flushed()

    async def close(self) -> None:
        """End the flushing of all agents."""
        for outbox in self._outboxes.values():
            await outbox.close()

    async def consume(self, stream: Any, *duties: Duty) -> None:
        """Read a Faust stream for ever; each record meets these duties, one after the other.

        Nothing is acknowledged before all its results are on the broker.
        """
        # Faust may start an agent anew; what its handlers have made already must still go out.
        first = duties[0].handle
        outbox = self._outboxes.setdefault(first, Outbox(self.outlet, self.fail))
        limits = [(duty, Limit()) for duty in duties]
        try:
            async for event in stream.noack().events():
                await outbox.room()
                record = incoming(event.message)
                self._places[first] = (duties[0].stage, record.topic)
                made: Sequence[Outgoing] = []
                for duty, limit in limits:
                    if duty.before is None or await self._learn(duty.before, record):
                        found = self._attempt(record, duty, limit)
                        made = [*made, *found] if made and found else made or found
                outbox.put(event, made)
        except DeadLetterLimitError as error:
            self.fail(error)
            await asyncio.Event().wait()

    def _attempt(self, record: Incoming, duty: Duty, limit: Limit) -> Sequence[Outgoing]:
        place, began = (duty.stage, record.topic), perf_counter()
        found = attempt(record, duty.stage, duty.handle, limit)
        self._times.add(place, perf_counter() - began)
        self._records[place] += 1
        if limit.reasons:
            self._count_dead(duty.stage, limit)
        return found

    async def _learn(self, before: Before, record: Incoming) -> bool:
        self._learning += 1
        try:
            return await before(record)
        finally:
            self._learning -= 1

    def _others(self) -> str | None:
        if self._learning:
            return "it is reading what came before"
        return "the broker takes no records" if self.outlet.refused else None

    def _count_dead(self, stage: str, limit: Limit) -> None:
        for reason, count in limit.reasons.items():
            self.board.count(DEAD)[stage, reason] += count
        limit.reasons.clear()

    def _depths(self) -> Counter[tuple[str | int, ...]]:
        depths: Counter[tuple[str | int, ...]] = Counter()
        for handle, place in list(self._places.items()):
            depths[place] += self._outboxes[handle].depth
        return depths


def attempt(record: Incoming, stage: str, handle: Handle, limit: Limit) -> Sequence[Outgoing]:
    """What the stage makes of the record, or its dead letter. Raises DeadLetterLimitError."""
    try:
        results = handle(record)
    except BadRecordError as error:
        return [_set_aside(record, stage, str(error), error.reason, limit)]
    except Exception as error:  # a bug of ours costs one record, not the worker
        log.exception("%s: unexpected error", stage)
        name = type(error).__name__
        return [_set_aside(record, stage, f"{name}: {error}", name, limit)]
    if not isinstance(results, Ticks):
        limit.good()
    return results


def _set_aside(record: Incoming, stage: str, error: str, reason: str, limit: Limit) -> Outgoing:
    limit.bad(record, error, reason)
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
