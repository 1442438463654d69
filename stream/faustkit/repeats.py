"""Keeps what aiokafka repeats ten times a second while a broker is away from filling the log."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Final

EVERY_S: Final = 30.0
_REMEMBERED: Final = 256
"""Different lines; beyond that, all are told anew."""


class Repeats(logging.Filter):
    """Lets each line of a logger, and of those below it, through once in ``every_s``; the next says how many
    were held back.
    """

    def __init__(
        self, name: str, every_s: float = EVERY_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(name)
        self._every_s, self._clock = every_s, clock
        self._seen: dict[tuple[str, int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is told; lines of other loggers always are."""
        if not super().filter(record):
            return True
        now, text = self._clock(), record.getMessage()
        line = (record.name, record.levelno, text)
        told, more = self._seen.get(line, (-math.inf, 0))
        if now - told < self._every_s:
            self._seen[line] = told, more + 1
            return False
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        self._seen[line] = now, 0
        if more:
            record.msg, record.args = f"{text} ({more} more in {now - told:.0f} s)", None
        return True
