"""Event time: the wall clock at start plus monotonic time, so that it never jumps."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """``monotonic_ns()`` for durations and order, ``unix_ns()`` for the time written into records."""

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.monotonic_ns = monotonic_ns
        self._offset_ns = wall_ns() - monotonic_ns()

    def unix_ns(self, monotonic_ns: int | None = None) -> int:
        """Unix nanoseconds of a monotonic reading, of now without one."""
        return self._offset_ns + (self.monotonic_ns() if monotonic_ns is None else monotonic_ns)
