"""The numbers around a finding: a short memory of each series, and what comes right after."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final, TypeAlias

from emitter.vocabulary.events import LOG
from stream.offline.points import Point
from stream.offline.replay import BATCH

BEFORE: Final = 28
AFTER: Final = 8
MEMORY: Final = BATCH + 64
"""More than a batch of the engine, so that the point that fired is still there."""
MAX_SOURCES: Final = 512

Source: TypeAlias = "tuple[str, int | None, str]"
"""Run, rank, event."""


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
    """The last points of every source of events that rules look at."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._sources: dict[Source, deque[Point]] = {}
        self._open: dict[Source, list[tuple[str, Strip]]] = {}

    def see(self, run: str, points: Iterable[Point]) -> None:
        """Remember the numbers of these points."""
        sources = self._sources
        for point in points:
            source = (run, point.rank, point.name)
            known = sources.get(source)
            if known is None:
                if len(sources) >= MAX_SOURCES or point.name == LOG:
                    continue
                known = sources[source] = deque(maxlen=MEMORY)
            known.append(point)
            if source in self._open:
                self._grow(source, point)

    def _grow(self, source: Source, point: Point) -> None:
        for name, strip in self._open[source]:
            value = point.values.get(name)
            if isinstance(value, (int, float)):
                strip.values.append(float(value))
        self._open[source] = [one for one in self._open[source] if not one[1].full]
        if not self._open[source]:
            del self._open[source]

    def cut(self, source: Source, name: str, step: int | None) -> Strip | None:
        """The series of this name around its newest value at this step; it goes on growing for a while."""
        if name not in self._names:
            return None
        found = ((point.step, point.values.get(name)) for point in self._sources.get(source, ()))
        series = [(at, float(value)) for at, value in found if isinstance(value, (int, float))]
        at = next((index for index in range(len(series) - 1, -1, -1) if series[index][0] == step), None)
        if at is None:
            return None
        start = max(0, at - BEFORE)
        strip = Strip([value for _, value in series[start : at + AFTER + 1]], at - start)
        if not strip.full:
            self._open.setdefault(source, []).append((name, strip))
        return strip
