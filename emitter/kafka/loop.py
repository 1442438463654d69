"""One thread with an event loop, for all that speaks to Kafka in this process."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from emitter import _quiet
from emitter._guard import logger

T = TypeVar("T")
THREAD: Final = "trainwarden-kafka"


class LoopThread:
    """Runs coroutines that other threads hand in; ends when the last user let go of it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(_unhandled)
        self.users = 0
        self._thread = threading.Thread(target=self._main, name=THREAD, daemon=True)
        self._thread.start()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine. Raises RuntimeError when the loop has ended."""
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        except RuntimeError:
            coroutine.close()
            raise

    def end(self, timeout_s: float) -> None:
        """Stop the loop, cancel what still runs on it, wait for the thread at most this long."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(timeout_s)

    def _main(self) -> None:
        _quiet.ours()
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
            self._sweep()
        finally:
            self.loop.close()
            _quiet.done()

    def _sweep(self) -> None:
        """Connections that were being opened when the end came leave tasks behind."""
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        # What they started in order to end well.
        if tasks := asyncio.all_tasks(self.loop):
            self.loop.run_until_complete(asyncio.wait(tasks, timeout=1.0))


def _unhandled(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """aiokafka's own background tasks; what they were for has failed by itself, and was reported there."""
    logger.debug("in the Kafka thread: %s", context.get("message"), exc_info=context.get("exception"))


_lock = threading.Lock()
_shared: LoopThread | None = None
_forked: list[LoopThread] = []
"""In a forked child: the parent's. Kept, because its sockets must not be torn down from here."""
_watching = False


def acquire() -> LoopThread:
    """The loop of this process; a new one after a fork. Every call needs one ``release``."""
    global _shared, _watching
    with _lock:
        if not _watching:
            _watching = True
            os.register_at_fork(after_in_child=_in_child)
        if _shared is None:
            _quiet.quiet("aiokafka")
            _shared = LoopThread()
        _shared.users += 1
        return _shared


def release(loop: LoopThread, timeout_s: float) -> None:
    """Give the loop back; the last user ends it, and waits at most this long."""
    global _shared
    with _lock:
        loop.users -= 1
        if loop.users or loop is not _shared:
            return
        _shared = None
    loop.end(timeout_s)


def _in_child() -> None:
    global _lock, _shared
    _lock = threading.Lock()
    if _shared is not None:
        _forked.append(_shared)
        _shared = None
