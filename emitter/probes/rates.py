"""Counters -> rates."""

from __future__ import annotations

from collections.abc import Callable, Mapping


class Rates:
    """Growth per second since the call before; nothing the first time, and nothing of one that went back."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._before: tuple[float, dict[str, float]] | None = None

    def of(self, counters: Mapping[str, float]) -> dict[str, float]:
        """Rates of these counters, under their names."""
        now, before = self._now_s(), self._before
        self._before = (now, dict(counters))
        if before is None or now <= before[0]:
            return {}
        then, old = before
        return {
            name: (value - old[name]) / (now - then)
            for name, value in counters.items()
            if name in old and value >= old[name]
        }
