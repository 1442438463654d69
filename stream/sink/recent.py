"""What this sink stored lately, so that an emitter's resend is not stored again.

A batch marks what it holds; the marks are taken back when the batch is given up, because Kafka will then
deliver the same records again. What this memory cannot know, history does (stream/sink/settle.py).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from stream.sink.ranges import span_number, spans_of

WINDOW: Final = 65_536
"""Sequence numbers remembered per emitter, counted back from its highest."""
EMITTERS: Final = 4_096
SPANS: Final = 262_144

Marks = list[tuple[str, int]]
"""Senders with a number each: an emitter with a sequence number, or ``spans_of`` it with a span's."""


class _Window:
    """A bit for each of the newest WINDOW sequence numbers of one emitter."""

    def __init__(self) -> None:
        self.high = -1
        self.bits = bytearray(WINDOW // 8)

    def advance(self, seq: int) -> None:
        """Make ``seq`` the highest; forget what leaves the window."""
        if seq - self.high >= WINDOW:
            self.bits = bytearray(WINDOW // 8)
        else:
            for passed in range(self.high + 1, seq + 1):
                self.bits[passed % WINDOW >> 3] &= ~(1 << (passed & 7))
        self.high = seq

    def forgot(self, seq: int) -> bool:
        """Whether it is older than the window."""
        return seq <= self.high - WINDOW

    def mark(self, seq: int) -> bool:
        """False where it was marked already. Of what left the window nothing is known."""
        if seq > self.high:
            self.advance(seq)
        place, bit = seq % WINDOW >> 3, 1 << (seq & 7)
        if self.bits[place] & bit:
            return False
        self.bits[place] |= bit
        return True

    def unmark(self, seq: int) -> None:
        if self.high - WINDOW < seq <= self.high:
            self.bits[seq % WINDOW >> 3] &= ~(1 << (seq & 7))


class Recent:
    """Memory of (emitter id, sequence number) and of (emitter id, span id), bounded in both.

    ``vague``: the senders of whom, since the last ``take``, something was marked that may have been stored
    and forgotten.
    """

    def __init__(self) -> None:
        self.vague: set[str] = set()
        self._windows: OrderedDict[str, _Window] = OrderedDict()
        self._old: set[tuple[str, int]] = set()
        self._spans: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._pending: Marks = []

    def new(self, emitter: str, seq: int) -> bool:
        """Whether this record was not seen lately; marks it. Without an emitter or number: always new."""
        if not emitter or seq < 0:
            return True
        fresh = self._mark(emitter, seq)
        if fresh:
            self._pending.append((emitter, seq))
        return fresh

    def new_span(self, emitter: str, span_id: bytes) -> bool:
        """Whether this span was not seen lately; marks it. Without an emitter or id: always new."""
        if not emitter or not span_id:
            return True
        fresh = self._mark_span(spans_of(emitter), span_number(span_id))
        if fresh:
            self._pending.append((spans_of(emitter), span_number(span_id)))
        return fresh

    def take(self) -> Marks:
        """What was marked since the last call: the marks of one batch."""
        marks, self._pending = self._pending, []
        self.vague = set()
        return marks

    def learn(self, marks: Iterable[tuple[str, int]]) -> None:
        """These are in history."""
        for sender, number in marks:
            if sender.endswith(spans_of("")):
                self._mark_span(sender, number)
            else:
                self._mark(sender, number)

    def keep(self, marks: Marks) -> None:
        """The batch was stored."""
        if self._old:
            self._old.difference_update(marks)

    def give_up(self, marks: Marks) -> None:
        """The batch was not stored: take its marks back."""
        for sender, number in marks:
            self._spans.pop((sender, number), None)
            self._old.discard((sender, number))
            if sender in self._windows:
                self._windows[sender].unmark(number)

    def _mark(self, emitter: str, seq: int) -> bool:
        window = self._windows.get(emitter)
        if window is None:
            window = self._windows[emitter] = _Window()
            self.vague.add(emitter)
            if len(self._windows) > EMITTERS:
                self._windows.popitem(last=False)
        else:
            self._windows.move_to_end(emitter)
        if not window.forgot(seq):
            return window.mark(seq)
        self.vague.add(emitter)
        if (emitter, seq) in self._old:
            return False
        self._old.add((emitter, seq))
        return True

    def _mark_span(self, sender: str, number: int) -> bool:
        self.vague.add(sender)
        if (sender, number) in self._spans:
            return False
        self._spans[sender, number] = None
        if len(self._spans) > SPANS:
            self._spans.popitem(last=False)
        return True
