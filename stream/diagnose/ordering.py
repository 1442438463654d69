"""Order by ``train.seq``: duplicates go, gaps are held until filled, declared lost, or a grace is over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from emitter.vocabulary import events as words
from stream.diagnose.saved import load_event, save_struct
from stream.events import Event

MAX_HELD: Final = 4096
"""Events held behind a gap of one emitter; one more and the gap counts as lost."""
MAX_REMEMBERED: Final = 1024

_SINGLE: Final = frozenset({words.LOG, words.LIFECYCLE})

DUPLICATE: Final = "duplicate"
LATE: Final = "late"


def alike(events: Sequence[Event], begin: int, order: SeqOrder) -> int:
    """The end of the events from ``begin`` on that look alike, of one emitter and in order without a gap.

    Alike: the same name and the same names of values in one order. Log lines and ends of emitters are never.
    """
    first = events[begin]
    name, resource, names, seq = first.name, first.resource, [*first.values], first.seq
    if name in _SINGLE or order.held or (seq is not None and seq != order.expected):
        return begin
    for place in range(begin + 1, len(events)):
        event = events[place]
        if event.name != name or event.resource != resource or [*event.values] != names:
            return place
        if seq is not None:
            seq += 1
        if event.seq != seq:
            return place
    return len(events)


class SeqOrder:
    """The order of one emitter.

    ``expected`` is the next sequence number, ``held`` waits behind a gap, ``lost`` counts numbers given up.
    """

    __slots__ = ("_declared_lost", "_skipped", "expected", "held", "lost")

    def __init__(self) -> None:
        self.expected = 0
        self.lost = 0
        self.held: dict[int, tuple[Event, int | None]] = {}
        self._skipped: dict[int, None] = {}
        self._declared_lost = 0

    def refused(self, seq: int) -> str | None:
        """Why this number is not taken: DUPLICATE, or LATE when its gap was given up; None if it is."""
        if seq in self._skipped:
            del self._skipped[seq]
            return LATE
        return DUPLICATE if seq < self.expected or seq in self.held else None

    def take(self, event: Event, seq: int, now: int | None) -> Iterator[Event]:
        """Accept an event that is not refused, read at this clock; the events that are in order now."""
        self.held[seq] = (event, now)
        if event.name == words.EMITTER_REPORT:
            self._declare(event, seq)
        if len(self.held) > MAX_HELD:
            self._skip_gap()
        yield from self._ready()

    def release(self, now: int, grace_ns: int) -> Iterator[Event]:
        """Give up every gap in front of an event that has waited for the grace; what is in order then."""
        while self.held:
            first = min(self.held)
            event, since = self.held[first]
            if since is None:
                self.held[first] = (event, now)
                return
            if since > now - grace_ns:
                return
            self._skip_gap()
            yield from self._ready()

    def drain(self) -> Iterator[Event]:
        """Give up every gap: nothing more comes."""
        while self.held:
            self._skip_gap()
            yield from self._ready()

    def save(self) -> list[Any]:
        """Plain data that ``load`` reads."""
        held = [[seq, save_struct(event), since] for seq, (event, since) in self.held.items()]
        return [self.expected, self.lost, held, list(self._skipped), self._declared_lost]

    def load(self, saved: list[Any]) -> None:
        """Become what ``save`` gave."""
        self.expected, self.lost, held, skipped, self._declared_lost = saved
        self.held = {seq: (load_event(event), since) for seq, event, since in held}
        self._skipped = dict.fromkeys(skipped)

    def _ready(self) -> Iterator[Event]:
        while (held := self.held.pop(self.expected, None)) is not None:
            self.expected += 1
            yield held[0]

    def _declare(self, report: Event, seq: int) -> None:
        """A report says how many records its emitter lost: when they fill the gap, the gap is explained."""
        for name, count in report.values.items():
            if name.startswith(words.LOST_PREFIX) and isinstance(count, (int, float)) and 0 < count < 1e15:
                self._declared_lost += int(count)
        missing = seq - self.expected - sum(number < seq for number in self.held)
        if 0 < missing <= self._declared_lost:
            self._declared_lost -= missing
            self._close(seq)

    def _close(self, seq: int) -> None:
        """Close every gap below ``seq``: what waited there moves up to it, in order."""
        below = sorted(number for number in self.held if number < seq)
        moved = [self.held.pop(number) for number in below]
        self.lost += seq - self.expected - len(moved)
        self.expected = seq - len(moved)
        self.held.update(zip(range(self.expected, seq), moved, strict=True))

    def _skip_gap(self) -> None:
        first = min(self.held)
        gap = range(self.expected, first)
        self.lost += len(gap)
        for number in gap[-MAX_REMEMBERED:]:
            self._skipped[number] = None
        while len(self._skipped) > MAX_REMEMBERED:
            del self._skipped[next(iter(self._skipped))]
        self.expected = first
