"""The clock of one ``train.events`` partition: as far as every source has been read."""

from __future__ import annotations

from stream.events import Tick


class Clock:
    """Made of ticks alone, so a replay sees the same time; None until every source was heard."""

    def __init__(self) -> None:
        self._newest: dict[int, int] = {}
        self._sources: int | None = None

    def hear(self, tick: Tick) -> None:
        """Take in one tick."""
        self._sources = tick.sources
        self._newest[tick.partition] = max(tick.time, self._newest.get(tick.partition, 0))

    @property
    def now_ns(self) -> int | None:
        """Unix nanoseconds, or None."""
        if self._sources is None or len(self._newest) < self._sources:
            return None
        return min(self._newest.values())
