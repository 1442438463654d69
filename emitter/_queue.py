"""The bounded queue between the training thread and the sender, and the count of what was lost."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from emitter._intake import Gap, Since
from emitter._records import Item, Span
from emitter._values import Reading
from emitter._waiting import POLL_S, Waiting

QUEUE_FULL: Final = "queue_full"
NO_ENDPOINT: Final = "no_endpoint"
REFUSED: Final = "refused"
UNDELIVERED: Final = "undelivered"
BAD_VALUE: Final = "bad_value"
UNREAD_VALUE: Final = "unread_value"
"""On a device, and not read: it did not come within a second, or a graph was being captured."""
CUT: Final = "cut"
SPOOL_FULL: Final = "spool_full"
INTERNAL: Final = "internal"
"""A bug of ours cost the record; the traceback is logged."""

RESERVE: Final = 1024
"""Room above the limit that only rare records (lifecycle, exceptions, heartbeats) may use."""


class Queue:
    """Appending is what the training thread pays: one ``deque.append``, no lock.

    ``items`` holds calls of ``step()``, Items, Tickets, and the marks Gap and Since; Intake takes them out.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.closed = False
        """The run's last word was said: what probes still find is not taken any more."""
        self.items: deque[Any] = deque()
        self.spans: deque[Span] = deque()
        self.wake = threading.Event()
        self.totals: dict[str, int] = {}
        self._lost: dict[str, int] = {}
        self._gap = Gap()
        # Reentrant: a signal handler may interrupt the thread that holds it.
        self._lock = threading.RLock()
        self.waiting = Waiting(self.items.append, self._unread, self.wake.set)

    def offer(
        self,
        monotonic_ns: int,
        name: str,
        values: Mapping[str, Any] | None = None,
        *,
        step: Any = None,
        epoch: Any = None,
        body: str | None = None,
        severity: int = 0,
        rare: bool = False,
        reading: Reading | None = None,
    ) -> None:
        """Append a record, or count it as lost. ``rare`` ones may use the reserve, and come after the end."""
        if self.closed and not rare:
            return
        if self.room() + (RESERVE if rare else 0) <= 0:
            self.full()
            return
        item = Item(monotonic_ns, 0, name, step, epoch, values, body, severity)
        if reading is not None and reading.pending:
            self.waiting.add(item, reading)
        else:
            self.items.append(item)

    def room(self) -> int:
        """How many more records there is place for."""
        return self.limit - len(self.items) - self.waiting.held

    @property
    def left(self) -> int:
        """Records and spans that nobody has taken yet."""
        marks = sum(type(item) is Gap or type(item) is Since for item in self.items.copy())
        return len(self.items) - marks + self.waiting.held + len(self.spans)

    def full(self, step_ns: int | None = None) -> None:
        """There is no room for a record: count it, and keep its place. ``step_ns`` is when a step was."""
        with self._lock:
            if self._gap.taken or not self.items or self.items[-1] is not self._gap:
                self._gap = Gap()
                self.items.append(self._gap)
            self._gap.count += 1
            if step_ns is not None:
                self._gap.at_ns = step_ns
            self.lose(QUEUE_FULL)

    def close_gap(self, gap: Gap) -> int:
        """How many records it stands for; no more are added to it."""
        with self._lock:
            gap.taken = True
            return gap.count

    def rest(self, seconds: float, now_ns: Callable[[], int]) -> bool:
        """Wait for something urgent, at most this long: whether it came. Values that come are put in."""
        end, urgent = time.monotonic() + seconds, False
        while not urgent and (left := end - time.monotonic()) > 0:
            urgent = self.wake.wait(min(left, POLL_S) if self.waiting.used else left)
            if not urgent:
                self.waiting.settle(now_ns())
        self.wake.clear()
        return urgent

    def offer_span(self, span: Span) -> None:
        """Append a finished span, or count it as lost."""
        if self.closed:
            return
        if len(self.spans) >= self.limit:
            self.lose(QUEUE_FULL)
            return
        self.spans.append(span)

    def lose_value(self) -> None:
        """One value could not be taken."""
        self.lose(BAD_VALUE)

    def _unread(self, count: int) -> None:
        self.lose(UNREAD_VALUE, count)

    def lose(self, reason: str, count: int = 1) -> None:
        """Count a loss; it is reported when the line is back."""
        with self._lock:
            for counts in (self._lost, self.totals):
                counts[reason] = counts.get(reason, 0) + count

    def take_losses(self) -> dict[str, int]:
        """Losses since the last call, by reason."""
        with self._lock:
            lost, self._lost = self._lost, {}
        return lost
