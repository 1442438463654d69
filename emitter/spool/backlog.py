"""The backlog of one session: its own spool, and those it took over from processes that have ended.

Nothing touches the disk before something has to be kept. What is kept leaves in the order in which it came;
what was taken over leaves when nothing of our own waits.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from emitter._guard import logger
from emitter._queue import SPOOL_FULL
from emitter._records import Payload
from emitter.spool import claims
from emitter.spool.claims import Folder
from emitter.spool.store import SUFFIX, Spool

WARN_EVERY_S: Final = 600.0


class Backlog:
    """``root`` None: the default place. ``lose`` counts what had to be given up."""

    def __init__(
        self, root: Path | None, target: str, emitter: str, most_bytes: int, lose: Callable[[str, int], None]
    ) -> None:
        self._root, self._target, self._emitter = root, target, emitter
        self._most_bytes = most_bytes
        self._lose = lose
        self._lock = threading.RLock()
        self._own: tuple[Folder, Spool] | None = None
        self._taken: list[tuple[Folder, Spool]] = []
        self._current: tuple[Folder, Spool] | None = None
        self._warn_at = float("-inf")
        self._closed = False

    @property
    def waiting(self) -> bool:
        """Whether something of our own waits."""
        with self._lock:
            return self._own is not None and self._own[1].records > 0

    @property
    def records(self) -> int:
        """How many records of our own wait."""
        with self._lock:
            return 0 if self._own is None else self._own[1].records

    @property
    def place(self) -> Path | None:
        """Where they are."""
        return None if self._own is None else self._own[0].path

    def keep(self, payload: Payload) -> bool:
        """Put a request on disk, behind those that wait; False where the disk does not take it."""
        with self._lock:
            if self._closed:
                return False
            try:
                dropped = self._spool().put(payload)
            except OSError as error:
                self._complain(error)
                return False
            if dropped:
                self._lose(SPOOL_FULL, dropped)
            return True

    def head(self, most: int = 1, records: int = 0) -> Payload | None:
        """What is to be sent next, up to ``most`` requests as one: our own, then what was taken over."""
        with self._lock:
            while (current := self._next()) is not None:
                try:
                    found = current[1].head(most, records)
                except OSError as error:
                    self._complain(error)
                    found = None
                self._count_vanished(current[1])
                if found is not None:
                    self._current = current
                    return found
                self._finish(current)
            return None

    def done(self) -> None:
        """What ``head`` gave was delivered, or refused for good."""
        with self._lock, contextlib.suppress(OSError):
            if self._current is not None:
                self._current[1].done()

    def back(self) -> None:
        """What ``head`` gave was not delivered, and waits on."""
        with self._lock:
            lost = 0 if self._current is None else self._current[1].back()
            if lost:
                self._lose(SPOOL_FULL, lost)

    def claim(self) -> None:
        """Take over what processes that have ended left for this endpoint."""
        with self._lock, contextlib.suppress(OSError):
            root = self._root or claims.default_root()
            for folder in claims.claim(claims.place(root, self._target), self._emitter):
                spool = Spool(folder.path, self._most_bytes)
                self._taken.append((folder, spool))
                if spool.records:
                    text = "sending %d records that an earlier process left in %s"
                    logger.info(text, spool.records, folder.path)

    def close(self) -> None:
        """Leave on disk what still waits."""
        with self._lock:
            self._closed = True
            for folder, spool in [*([] if self._own is None else [self._own]), *self._taken]:
                _leave(folder, spool)
            self._own, self._taken, self._current = None, [], None

    def forget(self) -> None:
        """In a forked child: all this is the parent's."""
        for folder, spool in [*([] if self._own is None else [self._own]), *self._taken]:
            folder.forget()
            with contextlib.suppress(OSError):
                spool.forget()
        self._own, self._taken, self._current = None, [], None

    def _spool(self) -> Spool:
        if self._own is None:
            root = self._root or claims.make_default_root()
            folder = claims.create(claims.place(root, self._target), self._emitter)
            self._own = (folder, Spool(folder.path, self._most_bytes))
        return self._own[1]

    def _next(self) -> tuple[Folder, Spool] | None:
        if self.waiting:
            return self._own
        return self._taken[0] if self._taken else None

    def _finish(self, current: tuple[Folder, Spool]) -> None:
        """Nothing is left in this one, or it cannot be read."""
        if current is self._own:
            self._own = None
        else:
            self._taken.remove(current)
        _leave(*current)

    def _count_vanished(self, spool: Spool) -> None:
        if spool.vanished:
            self._lose(SPOOL_FULL, spool.vanished)
            spool.vanished = 0

    def _complain(self, error: OSError) -> None:
        now = time.monotonic()
        if now >= self._warn_at:
            self._warn_at = now + WARN_EVERY_S
            logger.warning(
                "cannot keep undelivered telemetry on disk (%s); what does not fit into memory is lost and "
                "counted; TRAINWARDEN_SPOOL names another folder", error,
            )  # fmt: skip


def _leave(folder: Folder, spool: Spool) -> None:
    """Close it; a folder in which nothing is left goes."""
    with contextlib.suppress(OSError):
        spool.close()
    folder.release(remove=not any(folder.path.glob(f"*{SUFFIX}")))
