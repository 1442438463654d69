"""The bounded queue between the training thread and the sender, and the count of what was lost."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from emitter._records import Item, Span

QUEUE_FULL: Final = "queue_full"
NO_ENDPOINT: Final = "no_endpoint"
REFUSED: Final = "refused"
UNDELIVERED: Final = "undelivered"
BAD_VALUE: Final = "bad_value"
CUT: Final = "cut"

RESERVE: Final = 1024
"""Room above the limit that only rare records (lifecycle, exceptions, heartbeats) may use."""


class Queue:
    """Appending is what the training thread pays: one ``deque.append``, no lock.

    Every record offered takes a sequence number, also one that is dropped, so a loss is a gap.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.items: deque[tuple[Any, ...]] = deque()
        self.spans: deque[Span] = deque()
        self.sequence = itertools.count()
        self.wake = threading.Event()
        self.totals: dict[str, int] = {}
        self._lost: dict[str, int] = {}
        # Reentrant: a signal handler may interrupt the thread that holds it.
        self._lock = threading.RLock()

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
    ) -> None:
        """Append a record, or count it as lost. ``rare`` ones may use the reserve."""
        seq = next(self.sequence)
        if len(self.items) >= self.limit + (RESERVE if rare else 0):
            self.lose(QUEUE_FULL)
            return
        self.items.append(Item(monotonic_ns, seq, name, step, epoch, values, body, severity))

    def offer_span(self, span: Span) -> None:
        """Append a finished span, or count it as lost."""
        if len(self.spans) >= self.limit:
            self.lose(QUEUE_FULL)
            return
        self.spans.append(span)

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
