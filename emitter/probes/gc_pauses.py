"""Pauses of Python's garbage collector, which hold all threads."""

from __future__ import annotations

import gc
import time
from typing import Any


class GcProbe:
    """Adds up the time of collections; two clock readings in each is all that it costs."""

    def __init__(self) -> None:
        self._began_ns = 0
        self._total_ns = 0
        self._longest_ns = 0
        self._reported_ns = 0
        self._on = False

    def start(self) -> None:
        """Listen to collections."""
        self._on = True
        gc.callbacks.append(self._collected)

    def close(self) -> None:
        """Stop listening."""
        # Once only: a second removal would be an error.
        if self._on:
            self._on = False
            gc.callbacks.remove(self._collected)

    def sample(self) -> dict[str, float]:
        """Collections since the interpreter started, and the pauses since the sample before."""
        total, longest = self._total_ns, self._longest_ns
        self._longest_ns = 0
        pause, self._reported_ns = total - self._reported_ns, total
        return {
            "cpython.gc.collections": float(sum(generation["collections"] for generation in gc.get_stats())),
            "cpython.gc.pause": pause * 1e-9,
            "cpython.gc.pause.longest": longest * 1e-9,
        }

    def _collected(self, phase: str, info: dict[str, Any]) -> None:
        now = time.perf_counter_ns()
        if phase == "start":
            self._began_ns = now
        elif self._began_ns:
            took, self._began_ns = now - self._began_ns, 0
            self._total_ns += took
            self._longest_ns = max(self._longest_ns, took)
