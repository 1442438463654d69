"""The numbers around a finding: a short memory of each series, and what comes right after."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final, TypeAlias

from stream.offline.points import Point

BEFORE: Final = 28
AFTER: Final = 8
MEMORY: Final = 320
"""More than a batch of the engine, so that the point that fired is still there."""
MAX_SERIES: Final = 4096

Key: TypeAlias = "tuple[str, int | None, str, str]"
"""Run, rank, event, metric."""


class Strip:
    """A piece of one series; ``mark`` is where the finding is."""

    __slots__ = ("mark", "values")

    def __init__(self, values: list[float], mark: int) -> None:
        self.values = values
        self.mark = mark

    @property
    def full(self) -> bool:
        """Whether enough came after the finding."""
        return len(self.values) - self.mark > AFTER


class Strips:
    """The last values of every series that rules look at."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._series: dict[Key, deque[tuple[int | None, float]]] = {}
        self._open: dict[Key, list[Strip]] = {}

    def see(self, run: str, point: Point) -> None:
        """Remember the numbers of a point."""
        for name in self._names.intersection(point.values):
            value = point.values[name]
            if not isinstance(value, (int, float)):
                continue
            key = (run, point.rank, point.name, name)
            series = self._series.get(key)
            if series is None:
                if len(self._series) >= MAX_SERIES:
                    continue
                series = self._series[key] = deque(maxlen=MEMORY)
            series.append((point.step, float(value)))
            if key in self._open:
                self._grow(key, float(value))

    def _grow(self, key: Key, value: float) -> None:
        for strip in self._open[key]:
            strip.values.append(value)
        self._open[key] = [strip for strip in self._open[key] if not strip.full]
        if not self._open[key]:
            del self._open[key]

    def cut(self, key: Key, step: int | None) -> Strip | None:
        """The series around its newest value at this step; it goes on growing for a while."""
        series = list(self._series.get(key, ()))
        at = next((index for index in range(len(series) - 1, -1, -1) if series[index][0] == step), None)
        if at is None:
            return None
        start = max(0, at - BEFORE)
        strip = Strip([value for _, value in series[start : at + AFTER + 1]], at - start)
        if not strip.full:
            self._open.setdefault(key, []).append(strip)
        return strip
