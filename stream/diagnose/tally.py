"""What the engines of this process counted: the past that a snapshot brings along is not this process'."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

from stream.diagnose.counts import Counts
from stream.diagnose.inbox import Inbox

SECOND_NS: Final = 1_000_000_000


@dataclass
class _Known:
    counts: Counts
    before: dict[str, int]

    def since(self) -> dict[str, int]:
        return {name: number - self.before.get(name, 0) for name, number in asdict(self.counts).items()}


class Tally:
    """Sums over the partitions of an inbox, also those that it no longer holds."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._known: dict[int, _Known] = {}
        self._gone: dict[str, int] = {}

    def begin(self, number: int) -> None:
        """This partition goes on from what was found: only what comes now counts."""
        partition = self._inbox.held.get(number)
        if partition is not None:
            self._follow(number, partition.engine.counts, asdict(partition.engine.counts))

    def totals(self) -> dict[str, int]:
        """By the names of ``Counts``."""
        for number, partition in self._inbox.held.items():
            known = self._known.get(number)
            if known is None or known.counts is not partition.engine.counts:
                self._follow(number, partition.engine.counts, {})
        sums = dict(self._gone)
        for known in list(self._known.values()):
            _add(sums, known)
        return sums

    def behind_s(self, now_ns: int) -> dict[tuple[str | int, ...], float]:
        """The wall clock less the rules' clock, by partition, where it was heard of."""
        clocks = {number: held.engine.clock.now for number, held in self._inbox.held.items()}
        return {(number,): (now_ns - at) / SECOND_NS for number, at in clocks.items() if at is not None}

    def runs(self) -> int:
        """Runs remembered now."""
        return sum(len(held.engine.runs) for held in self._inbox.held.values())

    def _follow(self, number: int, counts: Counts, before: dict[str, int]) -> None:
        old = self._known.get(number)
        if old is not None:
            _add(self._gone, old)
        self._known[number] = _Known(counts, before)


def _add(sums: dict[str, int], known: _Known) -> None:
    for name, number in known.since().items():
        sums[name] = sums.get(name, 0) + number
