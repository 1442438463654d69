"""The latest value of each rank, for rules that compare ranks by time and not by step."""

from __future__ import annotations

import math
from collections import deque
from typing import Any, Final

from stream.diagnose.peers import Crowd, Peers

HORIZON_NS: Final = 60_000_000_000
"""A value older than this is nobody's present one."""


class Latest:
    """The latest value of each of a group's ranks within the horizon, in order of time."""

    __slots__ = ("_crowd", "_values", "_when")

    def __init__(self) -> None:
        self._crowd = Crowd()
        self._values: dict[str, tuple[int, float]] = {}
        self._when: deque[tuple[int, str]] = deque()

    def put(self, who: str, time_ns: int, value: float) -> Peers:
        """This is ``who``'s value now; what the others have."""
        self._forget(time_ns - HORIZON_NS)
        known = self._values.pop(who, None)
        if known is not None and math.isfinite(known[1]):
            self._crowd.remove(known[1])
        self._values[who] = (time_ns, value)
        self._when.append((time_ns, who))
        if math.isfinite(value):
            self._crowd.add(value)
        return self._crowd.others(value)

    def drop(self, who: str) -> None:
        """This rank ended."""
        known = self._values.pop(who, None)
        if known is not None and math.isfinite(known[1]):
            self._crowd.remove(known[1])

    def _forget(self, limit_ns: int) -> None:
        while self._when and self._when[0][0] < limit_ns:
            time_ns, who = self._when.popleft()
            known = self._values.get(who)
            if known is not None and known[0] == time_ns:
                self.drop(who)

    def save(self) -> list[Any]:
        """The state as plain data, in order of time."""
        return [[who, time_ns, value] for who, (time_ns, value) in self._values.items()]

    @classmethod
    def load(cls, state: list[Any]) -> Latest:
        """Goes on where ``save`` was called."""
        made = cls()
        for who, time_ns, value in state:
            made._values[who] = (time_ns, value)
            made._when.append((time_ns, who))
        made._crowd = Crowd(value for _, value in made._values.values())
        return made
