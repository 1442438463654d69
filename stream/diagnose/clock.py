"""The clock of one ``train.events`` partition: it advances only as far as every source has been read."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from emitter.vocabulary import topics
from stream.events import Tick

ELSEWHERE: Final = -1
"""Stands for whatever has no ticks of its own."""
_GATEWAY_MEMORY_NS = 3_600_000_000_000


class Reading(NamedTuple):
    """Where something was read: the source's partition, its newest tick, and the clock (ns).

    ``now`` is -1 until every source was heard, None before the first tick.
    """

    partition: int
    at: int | None
    now: int | None


NOWHERE: Final = Reading(ELSEWHERE, None, None)


class Clock:
    """``now`` (ns) is the oldest of the sources' newest ticks; None until every source was heard."""

    def __init__(self) -> None:
        self.now: int | None = None
        self._sources: dict[int, int] = {}
        self._gateways: dict[str, int] = {}
        self._paths: dict[str, int] = {}

    def advance(self, tick: Tick) -> bool:
        """Take a tick; True when ``now`` or a gateway's beacon moved forward."""
        if tick.time > self._sources.get(tick.partition, -1):
            self._sources[tick.partition] = tick.time
        moved = self._hear_gateways(tick)
        heard = [time for partition, time in self._sources.items() if partition < tick.sources]
        if len(heard) < tick.sources:
            return moved
        now = min(heard)
        if self.now is not None and now <= self.now:
            return moved
        self.now = now
        self._forget_gateways(now)
        return True

    def of(self, partition: int) -> int | None:
        """The newest tick of a source; of any of them for ELSEWHERE."""
        if partition == ELSEWHERE:
            return max(self._sources.values(), default=None)
        return self._sources.get(partition)

    def reading(self, topic: str = "", partition: int = ELSEWHERE) -> Reading:
        """What is read now from there."""
        place = partition if topic == topics.OTLP_LOGS else ELSEWHERE
        now = -1 if self.now is None and self._sources else self.now
        return Reading(place, self.of(place), now)

    def gateway_heard(self, gateway: str) -> int:
        """When this gateway last said that its path is alive (ns), -1 if never."""
        return self._gateways.get(gateway, -1)

    def path_heard(self, gateway: str) -> int:
        """The same by the clock of the source it was read from, -1 if never."""
        return self._paths.get(gateway, -1)

    def save(self) -> dict[str, Any]:
        """Plain data that ``load`` reads."""
        sources = [list(pair) for pair in self._sources.items()]
        gateways = [[gateway, time, self._paths[gateway]] for gateway, time in self._gateways.items()]
        return {"now": self.now, "sources": sources, "gateways": gateways}

    def load(self, saved: dict[str, Any]) -> None:
        """Become what ``save`` gave."""
        self.now = saved["now"]
        self._sources = dict(saved["sources"])
        self._gateways = {gateway: time for gateway, time, _ in saved["gateways"]}
        self._paths = {gateway: at for gateway, _, at in saved["gateways"]}

    def _hear_gateways(self, tick: Tick) -> bool:
        moved, read = False, self._sources.get(tick.partition, tick.time)
        for gateway, time in tick.gateways.items():
            if time > self._gateways.get(gateway, -1):
                self._gateways[gateway] = time
                self._paths[gateway] = max(self._paths.get(gateway, -1), read)
                moved = True
        return moved

    def _forget_gateways(self, now: int) -> None:
        for gateway in [name for name, time in self._gateways.items() if time < now - _GATEWAY_MEMORY_NS]:
            del self._gateways[gateway], self._paths[gateway]
