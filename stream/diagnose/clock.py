"""The clock of one ``train.events`` partition: it advances only as far as every source has been read."""

from __future__ import annotations

from typing import Any

from stream.events import Tick

_GATEWAY_MEMORY_NS = 3_600_000_000_000


class Clock:
    """``now`` (ns) is the oldest of the sources' newest ticks; None until every source was heard."""

    def __init__(self) -> None:
        self.now: int | None = None
        self._sources: dict[int, int] = {}
        self._gateways: dict[str, int] = {}

    def advance(self, tick: Tick) -> bool:
        """Take a tick; True when ``now`` or a gateway's beacon moved forward."""
        moved = self._hear_gateways(tick)
        if tick.time > self._sources.get(tick.partition, -1):
            self._sources[tick.partition] = tick.time
        heard = [time for partition, time in self._sources.items() if partition < tick.sources]
        if len(heard) < tick.sources:
            return moved
        now = min(heard)
        if self.now is not None and now <= self.now:
            return moved
        self.now = now
        self._forget_gateways(now)
        return True

    def gateway_heard(self, gateway: str) -> int:
        """When this gateway last said that its path is alive (ns), -1 if never."""
        return self._gateways.get(gateway, -1)

    def save(self) -> dict[str, Any]:
        """Plain data that ``load`` reads."""
        sources = [list(pair) for pair in self._sources.items()]
        return {"now": self.now, "sources": sources, "gateways": dict(self._gateways)}

    def load(self, saved: dict[str, Any]) -> None:
        """Become what ``save`` gave."""
        self.now = saved["now"]
        self._sources = dict(saved["sources"])
        self._gateways = dict(saved["gateways"])

    def _hear_gateways(self, tick: Tick) -> bool:
        moved = False
        for gateway, time in tick.gateways.items():
            if time > self._gateways.get(gateway, -1):
                self._gateways[gateway] = time
                moved = True
        return moved

    def _forget_gateways(self, now: int) -> None:
        for gateway in [name for name, time in self._gateways.items() if time < now - _GATEWAY_MEMORY_NS]:
            del self._gateways[gateway]
