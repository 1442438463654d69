"""Queries under way: their places, their threads, and what happens when a client leaves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from stream.clickhouse.admission import Admission
from stream.clickhouse.call import Call
from stream.clickhouse.engine import Engine
from stream.clickhouse.errors import ClickHouseError
from stream.clickhouse.execution import Answer
from stream.clickhouse.limits import Limits
from stream.clickhouse.sessions import Session, Sessions

_LOG = logging.getLogger(__name__)
_KILL_EVERY_S = 0.2
_END_S = 5.0

T = TypeVar("T")


class Runner:
    """The worker threads of one event loop; engine calls block, so each runs in one of them."""

    def __init__(self, engine: Engine, limits: Limits) -> None:
        self.engine = engine
        self.admission = Admission(limits)
        self._threads = ThreadPoolExecutor(limits.queries + limits.inserts + 2, thread_name_prefix="query")
        self.sessions = Sessions(limits.sessions)
        self._ending: set[asyncio.Task[None]] = set()

    def begin(self, kind: str, call: Call) -> Running:
        """Take a place among the queries or the inserts, and the session; ClickHouseError 202, 216, 373."""
        self.admission.enter(kind, call.query_id)
        try:
            return Running(self, kind, call, self.sessions.take(call))
        except ClickHouseError:
            self.admission.leave(kind, call.query_id)
            raise

    def submit(self, function: Callable[..., T], *args: object) -> asyncio.Future[T]:
        """Run it in a worker thread."""
        return asyncio.get_running_loop().run_in_executor(self._threads, function, *args)

    def keep(self, task: asyncio.Task[None]) -> None:
        """Hold a task of clearing up until it ends."""
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def stop(self) -> bool:
        """Cancel what still runs; False when something would not end in time."""
        for query_id in tuple(self.admission.query_ids):
            await asyncio.to_thread(self.engine.kill, query_id)
        if self._ending:
            await asyncio.wait(self._ending, timeout=_END_S)
        ended = not self.admission.query_ids
        if ended:
            self.sessions.close()
        self._threads.shutdown(wait=ended, cancel_futures=True)
        return ended


class Running:
    """One admitted query or insert; `end` it once."""

    def __init__(self, runner: Runner, kind: str, call: Call, session: Session | None) -> None:
        self.session = session
        self._runner = runner
        self._kind = kind
        self._call = call
        self._query_id = call.query_id
        self._pending: asyncio.Future[object] | None = None
        self._answer: Answer | None = None

    async def start(self, function: Callable[..., Answer], *args: object) -> Answer:
        """Run the first part; the result, whose rest `pieces` yields."""
        self._answer = await self._step(function, *args)
        return self._answer

    async def pieces(self) -> AsyncIterator[bytes]:
        """The rest of the result."""
        rest = self._answer.rest if self._answer else None
        while rest is not None:
            piece: bytes | None = await self._step(next, rest, None)
            if piece is None:
                return
            yield piece

    async def _step(self, function: Callable[..., T], *args: object) -> T:
        future = self._runner.submit(function, *args)
        self._pending = future  # type: ignore[assignment]  # a future of anything, only waited for
        return await asyncio.shield(future)

    def end(self) -> None:
        """Give the place back: at once where nothing runs, else as soon as the engine lets go."""
        if (self._pending is None or self._pending.done()) and (
            self._answer is None or self._answer.rest is None
        ):
            self._leave()
            return
        self._runner.keep(asyncio.get_running_loop().create_task(self._let_go()))

    async def _let_go(self) -> None:
        try:
            while self._pending is not None and not self._pending.done():
                if self._kind == "queries":
                    await asyncio.to_thread(self._runner.engine.kill, self._query_id)
                await asyncio.wait([self._pending], timeout=_KILL_EVERY_S)
            answer = self._outcome()
            if answer is not None:
                await self._runner.submit(answer.close)
        except ClickHouseError as error:
            _LOG.debug("query %s ended after its client left: %s", self._query_id, error)
        finally:
            self._leave()

    def _outcome(self) -> Answer | None:
        if self._answer is not None or self._pending is None or self._pending.exception():
            return self._answer
        outcome = self._pending.result()
        return outcome if isinstance(outcome, Answer) else None

    def _leave(self) -> None:
        if self.session is not None:
            self._runner.sessions.give_back(self._call, self.session)
        self._runner.admission.leave(self._kind, self._query_id)
