"""Ctrl-C and its relatives for a foreground command: the first one stops in order, the next one at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

_STOP: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """While entered (main thread only), the first of SIGINT, SIGTERM, SIGHUP raises KeyboardInterrupt.

    Once stopping has begun nothing is raised any more; a further signal makes ``forced`` true.
    """

    def __init__(self) -> None:
        self.requested = False
        """Whether a signal has come."""
        self._stopping = False
        self._forced = False
        self._held = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Signals:
        self._before = {number: signal.signal(number, self._received) for number in _STOP}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Inside, a signal only sets ``requested``; at the end it is raised. For event loops."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
            if self.requested:
                self._stopping = True
                raise KeyboardInterrupt

    def stopping(self) -> None:
        """Say that stopping has begun, whatever the reason."""
        self._stopping = True

    def forced(self) -> bool:
        """Whether the user does not want to wait for an ordered stop."""
        return self._forced

    def _received(self, number: int, frame: FrameType | None) -> None:
        if self._stopping:
            self._forced = True
            return
        self.requested = True
        if not self._held:
            self._stopping = True
            raise KeyboardInterrupt
