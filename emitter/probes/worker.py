"""A ticker whose first and last turn the trainer waits for, a little, so that no lines are missed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Final

from emitter.probes.ticker import Ticker

PATIENCE_S: Final = 0.25
"""Longest wait of the trainer, at the start and at the end: a network disk may hang."""


class Worker:
    """``turn`` every ``every_s`` on a thread of its own, ``last`` at the end."""

    def __init__(self, name: str, every_s: float, turn: Callable[[], None], last: Callable[[], None]) -> None:
        self._turn, self._last = turn, last
        self._begun, self._ended = threading.Event(), threading.Event()
        self._ticker = Ticker(name, every_s, self._one, self._end)
        self._pid = -1

    def start(self) -> None:
        """Begin; returns after the first turn, or when patience is over."""
        self._pid = os.getpid()
        self._ticker.start()
        self._begun.wait(PATIENCE_S)

    def close(self) -> None:
        """End; returns after the last turn, or when patience is over."""
        self._ticker.close()
        # In a forked child there is no thread to wait for.
        if os.getpid() == self._pid:
            self._ended.wait(PATIENCE_S)

    def _one(self) -> None:
        try:
            self._turn()
        finally:
            self._begun.set()

    def _end(self) -> None:
        try:
            self._last()
        finally:
            self._ended.set()
