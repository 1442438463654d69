"""Records whose values are still on their way from a device; nothing else waits for them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from emitter._tensors import MISSING, NOT_YET, Pending
from emitter._values import Reading

PATIENCE_S: Final = 1.0
"""After this long, measured from the call, a record goes without the values that have not come."""

POLL_S: Final = 0.05


class Ticket:
    """Such a record. It stands in the queue to get its number, and again if its values come later."""

    __slots__ = ("came", "reading", "row", "seen", "seq")

    def __init__(self, row: tuple[Any, ...], reading: Reading) -> None:
        self.row, self.reading = row, reading
        self.seq: int | None = None
        self.came = self.seen = False


class Waiting:
    """``add`` from any thread, ``settle`` and ``leaves`` from those that send."""

    def __init__(
        self,
        ready: Callable[[Ticket], None],
        unread: Callable[[int], None],
        urgent: Callable[[], None],
    ) -> None:
        self._ready, self._unread, self._urgent = ready, unread, urgent
        self._tickets: deque[Ticket] = deque()
        self._lock = threading.Lock()
        self._settling = threading.Lock()
        self.used = False
        self.held = 0
        """Records that have left the queue and are not back."""

    def __len__(self) -> int:
        return len(self._tickets)

    def add(self, row: tuple[Any, ...], reading: Reading) -> None:
        """Keep the record until its values have come."""
        self.used = True
        ticket = Ticket(row, reading)
        self._tickets.append(ticket)
        self._ready(ticket)

    def leaves(self, ticket: Ticket) -> bool:
        """The ticket came out of the queue: whether its record is complete. If not, it comes again."""
        with self._lock:
            ticket.seen = True
            self.held += not ticket.came
            return ticket.came

    def settle(self, now_ns: int) -> None:
        """Hand over the records that are complete, and those that have waited long enough.

        Returns at once where another thread is about it.
        """
        if not self._tickets or not self._settling.acquire(blocking=False):
            return
        try:
            self._sift(now_ns)
        finally:
            self._settling.release()

    def _sift(self, now_ns: int) -> None:
        kept = []
        for _ in range(len(self._tickets)):
            ticket = self._tickets.popleft()
            late = now_ns - ticket.row[0] > PATIENCE_S * 1e9
            if late or all(arrival.poll() for arrival in ticket.reading.arrivals):
                self._release(ticket)
            else:
                kept.append(ticket)
        self._tickets.extendleft(reversed(kept))

    def finish(self, now_ns: Callable[[], int]) -> None:
        """Wait for what is left, for as long as patience allows."""
        end = time.monotonic() + PATIENCE_S
        while self._tickets and time.monotonic() < end:
            self.settle(now_ns())
            time.sleep(0.002)
        self.settle(now_ns() + int(PATIENCE_S * 1e9))

    def _release(self, ticket: Ticket) -> None:
        missing, bad = _fill(ticket.row[5])
        if missing:
            self._unread(missing)
        with self._lock:
            ticket.came, seen = True, ticket.seen
            self.held -= seen
        if seen:
            self._ready(ticket)
        if bad:
            self._urgent()


def _fill(values: dict[str, Any]) -> tuple[int, bool]:
    """Put the numbers in place. How many are missing, and whether one is NaN or infinite."""
    missing, bad = 0, False
    for name, value in list(values.items()):
        if isinstance(value, Pending):
            number = value.value
            if number is MISSING or number is NOT_YET:
                missing += 1
                value.came(MISSING)
                del values[name]
            else:
                values[name] = number
                bad = bad or number - number != 0
        elif type(value) is dict:
            inner_missing, inner_bad = _fill(value)
            missing, bad = missing + inner_missing, bad or inner_bad
    return missing, bad
