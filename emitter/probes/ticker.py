"""A daemon thread that does one thing again and again, and can be left behind when that thing hangs."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from emitter import _quiet
from emitter._guard import guard


class Ticker:
    """Calls ``tick`` every ``every_s``; each kind of driver or library that may hang gets one of its own."""

    def __init__(
        self, name: str, every_s: float, tick: Callable[[], None], last: Callable[[], None] | None = None
    ) -> None:
        self._name, self._every_s, self._tick, self._last = name, every_s, tick, last
        self._wake = threading.Event()
        self._closing = False
        self._since: float | None = None
        self._pid = os.getpid()

    def start(self) -> None:
        """Begin in the background; the first tick comes at once."""
        self._pid = os.getpid()
        threading.Thread(target=self._run, name=f"trainwarden-{self._name}", daemon=True).start()

    def close(self) -> None:
        """Stop; a call that hangs is left behind."""
        if self._pid == os.getpid():
            self._closing = True
        self.soon()

    def soon(self) -> None:
        """Let the next tick come at once."""
        # A fork may have come while the thread held the event's lock: in the child it stays locked for ever.
        if self._pid == os.getpid():
            self._wake.set()

    @property
    def closing(self) -> bool:
        """Whether it was told to stop."""
        return self._closing

    def stuck_s(self) -> float:
        """How long the tick under way has taken; 0 between two."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since

    def _run(self) -> None:
        _quiet.ours()
        try:
            while not self._closing:
                self._since = time.monotonic()
                with guard:
                    self._tick()
                self._since = None
                self._wake.wait(self._every_s)
                self._wake.clear()
            if self._last is not None:
                with guard:
                    self._last()
        finally:
            _quiet.done()
