"""Unix time for what others compare with theirs: it does not jump when the system's clock is set.

A clock that is set forward by an hour would make every trainer look silent for an hour, and commands expire
before they are sent. This one runs with the monotonic clock, and follows the system's slowly.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Final

FOLLOWS: Final = 0.01
"""Seconds a second: half a minute wrong at start, before NTP, is mended in an hour; an hour takes days."""


class Steady:
    """``unix_ns()`` runs with ``monotonic_ns`` and nears ``wall_ns``."""

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._wall_ns, self._monotonic_ns = wall_ns, monotonic_ns
        self._read_at = monotonic_ns()
        self._offset_ns = wall_ns() - self._read_at

    def unix_ns(self) -> int:
        """Nanoseconds since 1970."""
        now = self._monotonic_ns()
        most = int((now - self._read_at) * FOLLOWS)
        wrong = self._wall_ns() - now - self._offset_ns
        self._offset_ns += max(-most, min(most, wrong))
        self._read_at = now
        return now + self._offset_ns


@cache
def _clock() -> Steady:
    return Steady()


def unix_ns() -> int:
    """Of this process's clock, which begins when it is first asked."""
    return _clock().unix_ns()
