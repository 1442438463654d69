"""Asking more often for commands while one may be under way.

The embedded broker answers a waiting fetch only when its wait is over. What is urgent, a loss that is not
finite for example, brings a command about within a tenth of a second; other times need no such haste.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any, Final

NEAR_WAIT_MS: Final = 30
EAGER_WAIT_MS: Final = 5
EAGER_S: Final = 0.5
APART_S: Final = 10.0
"""What is urgent again and again, a loss that comes and goes, is not worth the trainer's time."""


class Eager:
    """``near``: whether the broker is one that may sleep."""

    def __init__(self, near: bool) -> None:
        self._near = near
        self._last = float("-inf")
        self._expected: asyncio.Event | None = None

    def expect(self, loop: asyncio.AbstractEventLoop) -> None:
        """A command may come soon; from any thread. ``loop`` is where ``run`` runs."""
        event, now = self._expected, time.monotonic()
        if event is None or now - self._last < APART_S:
            return
        self._last = now
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(event.set)

    async def run(self, consumer: Any) -> None:
        """As long as this consumer reads: set how long its fetches wait."""
        self._expected = asyncio.Event()
        while True:
            await self._expected.wait()
            self._expected.clear()
            if self._near:
                await _hurry(consumer._fetcher)


async def _hurry(fetcher: Any) -> None:
    usual, fetcher._fetch_max_wait_ms = fetcher._fetch_max_wait_ms, EAGER_WAIT_MS
    try:
        await asyncio.sleep(EAGER_S)
    finally:
        fetcher._fetch_max_wait_ms = usual
