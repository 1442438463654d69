"""What was planned for a partition before, and how the records that come again are cut by it."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from stream.sink.records import Record

CLAIM_BITS: Final = 32
"""A claim is a number that grows with each owner of a partition, and below it the id of the sink."""


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


@dataclass(frozen=True)
class Plan:
    """A batch as a sink wrote it down before its first insert.

    ``life`` is the claim with which the partition's offsets began; ``first_mark`` and ``last_mark`` tell
    the records of that life from others with the same offsets.
    """

    place: Place
    first: int
    last: int
    life: int
    claim: int
    token: str
    first_mark: int
    last_mark: int
    stored: bool = False

    @property
    def key(self) -> Key:
        """What names this plan."""
        return Key(self.place, self.first, self.claim)


class Key(NamedTuple):
    """Names a plan: its partition, first offset, and the claim under which it was made."""

    place: Place
    first: int
    claim: int


def mark(record: Record) -> int:
    """A hash (64 bits) of where the record lies, when it was written and what it holds."""
    head = b"%d:%d:" % (record.offset, record.time)
    return int.from_bytes(hashlib.blake2b(head + record.value, digest_size=8).digest(), "big")


def next_claim(highest: int, sink: int) -> int:
    """A claim above all others, of this sink (an id of CLAIM_BITS bits)."""
    return ((highest >> CLAIM_BITS) + 1) << CLAIM_BITS | sink


def in_force(plans: Iterable[Plan]) -> list[Plan]:
    """The plans that may have been inserted, in order.

    Plans of an older life do not count. Where two overlap, the later claim was made by a sink that did not
    see the other plan, whose maker then saw the later claim and inserted nothing.
    """
    known = list(plans)
    newest = max((plan.life for plan in known), default=0)
    chosen: list[Plan] = []
    firsts: list[int] = []
    for plan in sorted(known, key=lambda plan: -plan.claim):
        at = bisect_right(firsts, plan.first)
        beside = chosen[max(0, at - 1) : at + 1]  # what is chosen does not overlap, so these two tell
        if plan.life == newest and not any(plan.first <= b.last and b.first <= plan.last for b in beside):
            chosen.insert(at, plan)
            firsts.insert(at, plan.first)
    return chosen
