"""What was stored lately, so that an emitter's resend is not stored again.

A batch marks what it holds; the marks become memory when the batch is stored and are taken back when it is
given up, because Kafka will then deliver the same records again.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

WINDOW: Final = 65_536
"""Sequence numbers remembered per emitter, counted back from its highest."""
EMITTERS: Final = 4_096
SPANS: Final = 262_144


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

    def mark(self, seq: int) -> bool:
        """False where it was marked already. Older than the window counts as new."""
        if seq > self.high:
            self.advance(seq)
        elif seq <= self.high - WINDOW:
            return True
        place, bit = seq % WINDOW >> 3, 1 << (seq & 7)
        if self.bits[place] & bit:
            return False
        self.bits[place] |= bit
        return True

    def unmark(self, seq: int) -> None:
        if self.high - WINDOW < seq <= self.high:
            self.bits[seq % WINDOW >> 3] &= ~(1 << (seq & 7))


class Recent:
    """Memory of (emitter id, sequence number) and of (emitter id, span id), bounded in both."""

    def __init__(self) -> None:
        self._windows: OrderedDict[str, _Window] = OrderedDict()
        self._spans: OrderedDict[tuple[str, bytes], None] = OrderedDict()
        self._pending: list[tuple[str, int | bytes]] = []

    def new(self, emitter: str, seq: int) -> bool:
        """Whether this record was not seen lately; marks it. Without an emitter or number: always new."""
        if not emitter or seq < 0:
            return True
        window = self._windows.get(emitter)
        if window is None:
            window = self._windows[emitter] = _Window()
            if len(self._windows) > EMITTERS:
                self._windows.popitem(last=False)
        else:
            self._windows.move_to_end(emitter)
        fresh = window.mark(seq)
        if fresh:
            self._pending.append((emitter, seq))
        return fresh

    def new_span(self, emitter: str, span_id: bytes) -> bool:
        """Whether this span was not seen lately; marks it. Without an emitter or id: always new."""
        if not emitter or not span_id:
            return True
        if (emitter, span_id) in self._spans:
            return False
        self._spans[emitter, span_id] = None
        if len(self._spans) > SPANS:
            self._spans.popitem(last=False)
        self._pending.append((emitter, span_id))
        return True

    def keep(self) -> None:
        """The batch was stored."""
        self._pending.clear()

    def give_up(self) -> None:
        """The batch was not stored: take its marks back."""
        for emitter, mark in self._pending:
            if isinstance(mark, bytes):
                self._spans.pop((emitter, mark), None)
            elif emitter in self._windows:
                self._windows[emitter].unmark(mark)
        self._pending.clear()
