"""What goes out next, and where it waits when it cannot: on disk, or in memory where there is no spool.

Two threads use it: the sender's, which may hang in a request for seconds, and a keeper's, which meanwhile
puts on disk what the request holds and what comes behind it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from enum import Enum
from typing import Final, Protocol

from emitter._packer import Packer
from emitter._records import LOGS, TRACES, Payload


class Backlog(Protocol):
    """What outlives this process: emitter.spool.backlog."""

    @property
    def waiting(self) -> bool:
        """Whether something of our own waits."""
        ...

    @property
    def records(self) -> int:
        """How many records of our own wait."""
        ...

    def keep(self, payload: Payload) -> bool:
        """Put a request behind those that wait; False where that fails."""
        ...

    def head(self, most: int = 1, records: int = 0) -> Payload | None:
        """What is to be sent next: up to ``most`` requests as one, if they have no more ``records``."""
        ...

    def done(self) -> None:
        """It was delivered, or refused for good."""
        ...

    def back(self) -> None:
        """It was not, and waits on."""
        ...

    def claim(self) -> None:
        """Take over what processes left that have ended."""
        ...

    def close(self) -> None:
        """Leave on disk what waits."""
        ...

    def forget(self) -> None:
        """All this is the parent's."""
        ...


_TOGETHER: Final = 64
"""So many of the backlog's requests are sent as one where all goes well. They are small, one for each quarter
of a second: one at a time, behind a slow gateway, they would never become fewer."""


class _From(Enum):
    QUEUE = "queue"
    """Nowhere else yet."""
    KEPT = "kept"
    """From the queue, and put on disk meanwhile."""
    BACKLOG = "backlog"
    """Out of the backlog."""


class Outbox:
    """Requests in order: what waits on disk, in memory, in the queue, of earlier processes."""

    def __init__(self, packer: Packer, backlog: Backlog | None) -> None:
        self._packer = packer
        self._backlog = backlog
        self._lock = threading.RLock()
        self._held: deque[Payload] = deque()
        self._sending: Payload | None = None
        self._source = _From.QUEUE
        self._since = 0.0
        self._turn = 0
        self._together = 1

    @property
    def left(self) -> int:
        """Records that are nowhere but in memory."""
        with self._lock:
            sending = self._sending if self._source is _From.QUEUE else None
            held = sum(payload.records for payload in self._held)
            return held + self._packer.left + (sending.records if sending is not None else 0)

    def take(self) -> Payload | None:
        """The next request, to be sent now; ``settle`` says what became of it."""
        with self._lock:
            self._source = _From.QUEUE
            self._sending = self._next()
            self._since = time.monotonic()
            self._turn += 1
            return self._sending

    def settle(self, done: bool) -> None:
        """The request was delivered, or refused for good; False: it is to be sent again."""
        with self._lock:
            payload, self._sending = self._sending, None
            if payload is None:
                return
            if self._source is _From.QUEUE:
                if not done and not self._keep(payload):
                    self._held.appendleft(payload)
            elif self._source is _From.BACKLOG:
                # What a bad line does not let through as one, it may let through in pieces.
                self._together = min(2 * self._together, _TOGETHER) if done else 1
                self._answer(done)
            elif done and self._backlog is not None:
                self._answer(self._backlog.head() == payload)

    def stow(self) -> None:
        """Put on disk what is in memory only, as far as the disk takes it."""
        with self._lock:
            if self._backlog is None:
                return
            if self._sending is not None and self._source is _From.QUEUE:
                if not self._keep(self._sending):
                    return
                self._source = _From.KEPT
            while (payload := self._fresh()) is not None:
                if not self._keep(payload):
                    self._held.appendleft(payload)
                    return

    def busy(self, turn: int) -> bool:
        """Whether the request of this turn is still under way."""
        return self._sending is not None and self._turn == turn

    @property
    def turn(self) -> int:
        """Counts the requests."""
        return self._turn

    def _next(self) -> Payload | None:
        backlog = self._backlog
        if backlog is not None and backlog.waiting:
            self.stow()
            self._source = _From.BACKLOG
            if (found := self._oldest(backlog)) is not None:
                return found
            self._source = _From.QUEUE
        if (fresh := self._fresh()) is not None or backlog is None:
            return fresh
        self._source = _From.BACKLOG
        return self._oldest(backlog)

    def _oldest(self, backlog: Backlog) -> Payload | None:
        return backlog.head(self._together, self._packer.batch_size)

    def _fresh(self) -> Payload | None:
        if self._held:
            return self._held.popleft()
        return self._packer.request(LOGS) or self._packer.request(TRACES)

    def _keep(self, payload: Payload) -> bool:
        return self._backlog is not None and self._backlog.keep(payload)

    def _answer(self, done: bool) -> None:
        if self._backlog is not None:
            (self._backlog.done if done else self._backlog.back)()
