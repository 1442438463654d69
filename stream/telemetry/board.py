"""Where a process counts: plain integers, bumped by the hot path and read when somebody collects.

A key has one value for each attribute of its metric, in that order.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Final

from stream.telemetry.catalogue import Metric

Key = tuple[str | int, ...]
Read = Callable[[], Mapping[Key, float]]
Counts = defaultdict[Key, int]

BOUNDS_S: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip

log = logging.getLogger(__name__)


class Times:
    """A histogram of seconds for each key. (The SDK's costs ten times as much, and cannot be observed.)"""

    def __init__(self) -> None:
        self._cells: dict[Key, Cell] = {}

    def add(self, key: Key, seconds: float) -> None:
        """Count one duration."""
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells[key] = Cell()
        cell.counts[bisect_left(BOUNDS_S, seconds)] += 1
        cell.sum += seconds

    def items(self) -> list[tuple[Key, Cell]]:
        """The histograms so far."""
        return list(self._cells.items())


class Cell:
    """``counts``: one for each bound, and one for what is longer than all."""

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.sum = 0.0


class Board:
    """What one process counts. ``count`` and ``times`` give the same object for the same metric."""

    def __init__(self) -> None:
        self._counts: dict[Metric, Counts] = {}
        self._times: dict[Metric, Times] = {}
        self._reads: dict[Metric, list[Read]] = {}

    def count(self, metric: Metric) -> Counts:
        """Integers to add to: ``board.count(metric)[key] += 1``."""
        counts = self._counts.get(metric)
        if counts is None:
            # Without attributes it is there from the beginning: a first one then shows as a step from 0.
            counts = self._counts[metric] = defaultdict(int, {} if metric.attributes else {(): 0})
            self.read(metric, lambda: dict(counts.items()))
        return counts

    def times(self, metric: Metric) -> Times:
        """Where durations are added."""
        return self._times.setdefault(metric, Times())

    def read(self, metric: Metric, read: Read) -> None:
        """Ask this function at collection; what several say of a key is added up."""
        self._reads.setdefault(metric, []).append(read)

    def number(self, metric: Metric, read: Callable[[], float]) -> None:
        """As ``read``, for a metric without attributes."""
        self.read(metric, lambda: {(): read()})

    def values(self, metric: Metric) -> dict[Key, float]:
        """The values now. A function that fails costs its own values."""
        found: dict[Key, float] = {}
        for read in self._reads.get(metric, ()):
            try:
                for key, value in read().items():
                    found[key] = found.get(key, 0) + value
            except Exception as error:  # noqa: BLE001 - watching must never harm what is watched
                log.debug("%s: not read: %r", metric.name, error)
        return found

    def histograms(self) -> list[tuple[Metric, Times]]:
        """The durations."""
        return list(self._times.items())


def by(counted: Mapping[str, float]) -> Read:
    """The numbers of a mapping, for a metric with one attribute."""
    return lambda: {(name,): number for name, number in list(counted.items())}
