"""Whether a worker had better be started anew: records pile up, and it reads none of them.

A wrong restart costs more than a late one, so only this counts, and only while somebody looks: the broker
answers, nobody else is waited for, new records came, and not one was committed for ``after_s``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

AFTER_S: Final = 600.0

Place = tuple[str, int]
"""A partition: its topic and number."""


@dataclass(frozen=True)
class Standing:
    """``end``: where the next record goes; ``committed``: up to where the group has read."""

    end: int
    committed: int


@dataclass
class _Since:
    """Progress was last made at ``committed``, when the log ended at ``end``; looked at for ``s`` since."""

    committed: int
    end: int
    s: float = 0.0


class Stuck:
    """``now``: a monotonic clock in seconds; ``every_s``: how often ``look`` is called when all is well."""

    def __init__(self, after_s: float, every_s: float, now: Callable[[], float]) -> None:
        self._after_s, self._every_s, self._now = after_s, every_s, now
        self._looked = now()
        self._since: dict[Place, _Since] = {}
        self.reason: str | None = None

    def look(self, standings: Mapping[Place, Standing], excuse: str | None = None) -> None:
        """Take in how it stands; ``excuse``: who else holds it up, None where nobody is known to."""
        now = self._now()
        # A stopped process, or a broker that did not answer, is nobody's standing still.
        passed_s = min(now - self._looked, 2 * self._every_s)
        self._looked = now
        for place in set(self._since) - set(standings):
            del self._since[place]
        for place, standing in standings.items():
            since = self._since.get(place)
            if since is None or standing.committed != since.committed or excuse is not None:
                self._since[place] = _Since(standing.committed, standing.end)
            elif standing.end > since.end:
                since.s += passed_s
        self.reason = self._worst(standings)

    def _worst(self, standings: Mapping[Place, Standing]) -> str | None:
        if not self._after_s:
            return None
        stuck = {place: since for place, since in self._since.items() if since.s > self._after_s}
        if not stuck:
            return None
        (topic, partition), since = max(stuck.items(), key=lambda item: item[1].s)
        waiting = standings[topic, partition].end - since.committed
        return f"{topic}[{partition}]: {waiting} records wait and none was read for {since.s:.0f} s"
