"""The gateways that a run's records come through: up to when they say that nothing is on its way any more.

A gateway's beacon says that what was sent through it before has come. While one is away, its ranks may have
much to tell that comes later, all at once.
"""

from __future__ import annotations

from typing import Any, Final

from stream.diagnose.clock import Clock

PATIENCE_NS: Final = 60_000_000_000
"""So long one gateway is waited for while others of the run go on, and one that never sent a beacon."""


class Paths:
    """The gateways of a run's live sources. ``since``: the clock when each was first seen."""

    __slots__ = ("_since", "_users")

    def __init__(self) -> None:
        self._users: dict[str, int] = {}
        self._since: dict[str, int] = {}

    def move(self, old: str | None, new: str | None, now: int | None) -> None:
        """A source came by another way than before."""
        self.leave(old)
        if new is not None:
            self._users[new] = self._users.get(new, 0) + 1
            self._since.setdefault(new, -1 if now is None else now)

    def leave(self, gateway: str | None) -> None:
        """A source ended, or comes by another way."""
        if gateway is not None:
            self._users[gateway] -= 1
            if not self._users[gateway]:
                del self._users[gateway], self._since[gateway]

    def proven(self, clock: Clock, now: int) -> int:
        """Everything that was sent before then, by this clock, has come."""
        if not self._users:
            return now
        beacons = {gateway: clock.path_heard(gateway) for gateway in self._users}
        newest = max(beacons.values())
        oldest = min(max(at, self._since[gateway]) for gateway, at in beacons.items())
        return min(now, max(oldest, (now if newest < 0 else newest) - PATIENCE_NS))

    def save(self) -> list[Any]:
        """The state as plain data."""
        return [[gateway, count, self._since[gateway]] for gateway, count in self._users.items()]

    @classmethod
    def load(cls, state: list[Any]) -> Paths:
        """Goes on where ``save`` was called."""
        made = cls()
        made._users = {gateway: count for gateway, count, _ in state}
        made._since = {gateway: since for gateway, _, since in state}
        return made
