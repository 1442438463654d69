"""Time of parts of a step without synchronising: clocks on the CPU, CUDA events that are read when done."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

PENDING_LIMIT: Final = 256
"""Pairs of events that wait to be read; beyond it (a GPU that hangs) new ones are not measured."""

Add = Callable[[str, float], None]
"""Takes the name of the part and its seconds."""


class CpuClock:
    """Seconds between two marks, added at once."""

    def __init__(self, add: Add) -> None:
        self._add = add

    def mark(self) -> int:
        """Now."""
        return time.perf_counter_ns()

    def between(self, name: str, start: int) -> None:
        """Add the time since a mark."""
        self._add(name, (time.perf_counter_ns() - start) * 1e-9)

    def read(self) -> None:
        """Nothing waits."""


class CudaClock:
    """Events on the current stream; ``read()`` adds what the GPU has reached since, one step later or so."""

    def __init__(self, add: Add, cuda: Any) -> None:
        self._add, self._cuda = add, cuda
        self._pending: deque[tuple[str, Any, Any]] = deque()
        self._spare: list[Any] = []

    def mark(self) -> Any:
        """An event behind the work that was queued so far; None inside the capture of a CUDA graph."""
        if len(self._pending) >= PENDING_LIMIT or self._cuda.is_current_stream_capturing():
            return None
        event = self._spare.pop() if self._spare else self._cuda.Event(enable_timing=True)
        event.record()
        return event

    def between(self, name: str, start: Any) -> None:
        """Add, when it is known, the time from a mark to here."""
        if start is None:
            return
        end = self.mark()
        if end is None:
            self._spare.append(start)
        else:
            self._pending.append((name, start, end))

    def read(self) -> None:
        """Add what is known by now; never waits. To ask would break the capture of a CUDA graph."""
        if not self._pending or self._cuda.is_current_stream_capturing():
            return
        while self._pending and self._pending[0][2].query():
            name, start, end = self._pending.popleft()
            self._add(name, start.elapsed_time(end) * 1e-3)
            self._spare += (start, end)
