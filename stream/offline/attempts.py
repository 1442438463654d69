"""Attempts of recorded runs: a step that goes back starts a new one."""

from __future__ import annotations

from emitter.vocabulary import events
from stream.offline.points import Point


class _Rank:
    __slots__ = ("attempt", "epoch", "steps")

    def __init__(self, attempt: int) -> None:
        self.attempt = attempt
        self.epoch = -1
        self.steps: dict[str, int] = {}


class Attempts:
    """Counts the attempts of the runs in one stream of points, for each rank."""

    def __init__(self) -> None:
        self._ranks: dict[tuple[str | None, int | None], _Rank] = {}
        self._highest: dict[str | None, int] = {}

    def of(self, point: Point) -> int:
        """The attempt of this point; one that has no step belongs to the newest of its run."""
        run = point.run
        if point.attempt is not None:
            self._highest[run] = max(self._highest.get(run, 0), point.attempt)
            return point.attempt
        step, clock = point.step, point.clock
        if step is None or point.name != events.STEP:
            return self._highest.get(run, 0)
        rank = self._ranks.get((run, point.rank))
        if rank is None:
            rank = self._ranks[run, point.rank] = _Rank(self._highest.get(run, 0))
        if step < rank.steps.get(clock, step) and not _next_epoch(rank, point):
            rank.attempt += 1
            rank.steps.clear()
            self._highest[run] = max(self._highest.get(run, 0), rank.attempt)
        rank.steps[clock] = step
        if point.epoch is not None:
            rank.epoch = max(rank.epoch, _whole(point.epoch))
        return rank.attempt


def _next_epoch(rank: _Rank, point: Point) -> bool:
    """Steps that are counted afresh in each epoch go back without a restart."""
    return _whole(point.epoch) > rank.epoch >= 0


def _whole(epoch: float | None) -> int:
    return int(epoch) if epoch is not None and epoch - epoch == 0 else -1
