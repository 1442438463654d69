"""From records of ``train.events`` to diagnoses: one engine a partition."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from stream.diagnose.engine import Engine
from stream.diagnose.partition import Partition
from stream.progress import Place
from stream.records import Incoming, Outgoing
from stream.rulebook import bundle
from stream.rulelang import RuleSet

log = logging.getLogger(__name__)


class Inbox:
    """The engines of the partitions this worker holds.

    ``rules`` are those to begin with, ``encoded`` their bundle.
    """

    def __init__(self, rules: RuleSet, encoded: bytes) -> None:
        self._rules, self._bundle = rules, encoded
        self._held: dict[int, Partition] = {}
        self._assigned: frozenset[int] | None = None

    def keep(self, partitions: Iterable[int]) -> None:
        """Drop all other partitions: another worker goes on with them."""
        self._assigned = frozenset(partitions)
        for number in set(self._held) - self._assigned:
            del self._held[number]

    @property
    def held(self) -> dict[int, Partition]:
        """What this worker goes on with, by partition."""
        assigned = self._held.keys() if self._assigned is None else self._assigned
        return {number: held for number, held in self._held.items() if number in assigned}

    def missing(self, record: Incoming) -> Place | None:
        """Why what came before this record has to be found first; None where it need not.

        ``NEXT``: nothing of its partition is known here.
        """
        known = self._held.get(record.partition)
        place = None if known is None else known.progress.judge(record)
        if place is None:
            return Place.NEXT
        return place if place in (Place.AFTER_GAP, Place.NEW_LOG) else None

    def afresh(self, rules: bytes | None = None) -> Partition:
        """A partition of which nothing is known but, perhaps, its rules."""
        if rules is None or rules == self._bundle:
            return Partition(self._bundle, Engine(self._rules))
        return Partition(rules, Engine(bundle.loaded(rules)))

    def begin(self, number: int, partition: Partition) -> None:
        """Go on with this; if the partition was taken away meanwhile, with what is still under way of it."""
        self._held[number] = partition

    def event(self, record: Incoming) -> list[Outgoing]:
        """A record of ``train.events``. Raises BadRecordError."""
        partition = self._held.get(record.partition)
        if partition is None:
            partition = self._held[record.partition] = self.afresh()
        place = partition.progress.place(record)
        if place is Place.REPEATED:
            return []
        if place is not Place.NEXT:
            log.warning(
                "%s[%d]: records come %s, beginning afresh", record.topic, record.partition, place.value
            )
            progress, partition = partition.progress, self.afresh(partition.rules)
            partition.progress = progress
            self._held[record.partition] = partition
        made = partition.take(record)
        if partition.rules != self._bundle:
            # One that was not seen to switch begins with the newest known.
            self._bundle, self._rules = partition.rules, bundle.loaded(partition.rules)
        return made
