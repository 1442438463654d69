"""When what was read has waited for long enough: by the clock of its own partition, at any speed of reading.

An event that was read before its partition's clock showed T has waited for D once the run's clock, which is
that of the slowest partition, shows T + D: by then everything that reached the broker in that time was read.
So neither a partition that is read ahead of the others nor a backlog that comes all at once hurries anybody.
"""

from __future__ import annotations

from typing import Any, Final

from stream.diagnose.clock import Clock, Reading

NEVER: Final = -(1 << 62)
ENDLESS: Final = 1 << 62
GRID_NS: Final = 250_000_000
"""Times of reading are told apart as finely as this, and never taken for earlier."""
MOST: Final = 256
"""So many of them; one more and they are told apart half as finely until few are left."""
FEW: Final = 32


class Passing:
    """Places of events, and when they were read.

    ``level``: up to here everything has waited. While nothing is waiting it goes on with the clock, so that
    silence ends too; what is read then holds it up again.
    """

    __slots__ = ("_extended", "_grid_ns", "_open", "_passed", "_passed_at", "_waiting")

    def __init__(self) -> None:
        self._open: dict[int, list[int]] = {}
        self._waiting: dict[int, list[int]] = {}
        self._grid_ns = GRID_NS
        self._passed = self._passed_at = self._extended = NEVER

    def read(self, place: int, reading: Reading) -> None:
        """An event at this place was read; NEVER for one that says nothing of others."""
        partition, at = reading.partition, NEVER if reading.at is None else reading.at
        found = self._open.get(partition)
        if found is not None and at > found[1]:
            self._close(partition, at)
            found = None
        if found is None:
            self._open[partition] = [place, at]
        elif place > found[0]:
            found[0] = place

    @property
    def level(self) -> int:
        """See above."""
        return self._passed if self._open or self._waiting else self._extended

    def tick(self, clock: Clock, limit: int) -> None:
        """The clock moved: what was read by ``limit`` has waited."""
        for partition, (_, at) in list(self._open.items()):
            by = clock.of(partition)
            if by is not None and by > at:
                self._close(partition, by)
        for by in [by for by in self._waiting if by <= limit]:
            self._pass(self._waiting.pop(by))
        if len(self._waiting) <= FEW:
            self._grid_ns = GRID_NS
        self._extended = max(self._passed, self._carried(limit))

    def _close(self, partition: int, by: int) -> None:
        """What was read there so far was read before this tick."""
        self._wait(by, self._open.pop(partition))
        if len(self._waiting) > MOST:
            waiting, self._waiting = self._waiting, {}
            self._grid_ns *= 2
            for one_by, one in waiting.items():
                self._wait(one_by, one)

    def _wait(self, by: int, one: list[int]) -> None:
        by = -(-by // self._grid_ns) * self._grid_ns
        known = self._waiting.get(by)
        self._waiting[by] = one if known is None else max(known, one)

    def _pass(self, one: list[int]) -> None:
        if one[0] > self._passed:
            self._passed, self._passed_at = one

    def _carried(self, limit: int) -> int:
        """The newest place, as much later as the clock has gone on since; trainers' clocks may be behind."""
        if self._passed == NEVER:
            return NEVER
        return limit if self._passed_at <= self._passed else self._passed + limit - self._passed_at

    def save(self) -> list[Any]:
        """The state as plain data."""
        opened = [[partition, *one] for partition, one in self._open.items()]
        waiting = [[by, *one] for by, one in self._waiting.items()]
        return [opened, waiting, self._grid_ns, self._passed, self._passed_at, self._extended]

    @classmethod
    def load(cls, state: list[Any]) -> Passing:
        """Goes on where ``save`` was called."""
        made = cls()
        opened, waiting, made._grid_ns, made._passed, made._passed_at, made._extended = state
        made._open = {partition: list(one) for partition, *one in opened}
        made._waiting = {by: list(one) for by, *one in waiting}
        return made
