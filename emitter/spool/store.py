"""A spool: requests that wait on disk in the order in which they were made, bounded in bytes."""

from __future__ import annotations

import os
import threading
from collections import deque
from pathlib import Path
from typing import Final

from emitter._records import Payload
from emitter.spool.segment import Kept, Segment, Write, size_of

SEGMENT_BYTES: Final = 4 << 20
SUFFIX: Final = ".seg"


class Spool:
    """One writer and one reader, from any two threads. ``unreadable``: files that are no segments.

    Only the first and the last segment are open. ``vanished``: records whose files others deleted.
    """

    def __init__(
        self, folder: Path, most_bytes: int, *, segment_bytes: int = SEGMENT_BYTES, write: Write = os.pwrite
    ) -> None:
        """Take up what is there. Raises OSError."""
        self.folder = folder
        self._most_bytes = most_bytes
        self._segment_bytes = min(segment_bytes, most_bytes)
        self._write = write
        self._lock = threading.RLock()
        self._segments: deque[Segment] = deque()
        self._number = 0
        self._head: tuple[Segment, list[Kept]] | None = None
        self.unreadable: list[str] = []
        self.vanished = 0
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            self._take_up(path)

    @property
    def records(self) -> int:
        """How many records wait."""
        with self._lock:
            return sum(segment.pending for segment in self._segments)

    @property
    def size(self) -> int:
        """Bytes in use."""
        with self._lock:
            return sum(segment.size for segment in self._segments)

    def put(self, payload: Payload) -> int:
        """Add a request at the end; how many records had to go for it, the oldest first.

        Raises OSError where it could not be stored: then nothing has changed, but for what had to go.
        """
        with self._lock:
            need = size_of(payload)
            if need > self._most_bytes:
                return payload.records
            dropped = self._make_room(need)
            if not self._segments or self._full(self._segments[-1], need):
                self._open()
            self._segments[-1].append(payload)
            return dropped

    def head(self, most: int = 1, records: int = 0) -> Payload | None:
        """The oldest request, to be sent now; ``done`` or ``back`` says what became of it. Raises OSError.

        Up to ``most`` as one, as far as they have no more ``records``.
        """
        with self._lock:
            while self._segments:
                segment = self._segments[0]
                try:
                    kept = segment.heads(most, records)
                except FileNotFoundError:
                    self.vanished += self._segments.popleft().pending
                    continue
                if kept:
                    self._head = (segment, kept)
                    return _as_one(kept)
                self._segments.popleft().remove()
            return None

    def done(self) -> None:
        """The request was delivered, or never will be. Raises OSError where that cannot be marked."""
        with self._lock:
            taken, self._head = self._head, None
            if taken is None:
                return
            segment, kept = taken
            if segment in self._segments:
                for one in kept:
                    segment.done(one)
                if segment.head() is None:
                    self._segments.remove(segment)
                    segment.remove()

    def back(self) -> int:
        """The request was not delivered and waits on; how many records are lost, its place being gone."""
        with self._lock:
            taken, self._head = self._head, None
            return 0 if taken is None or taken[0] in self._segments else _records(taken[1])

    def close(self) -> None:
        """Release the files; what waits stays on disk."""
        with self._lock:
            while self._segments:
                segment = self._segments.popleft()
                (segment.close if segment.pending else segment.remove)()

    def forget(self) -> None:
        """In a forked child, whose parent may hold the lock: release the files, change nothing."""
        for segment in self._segments:
            segment.close()
        self._segments = deque()

    def _take_up(self, path: Path) -> None:
        try:
            segment = Segment(path, self._write)
        except ValueError as error:
            self.unreadable.append(str(error))
            return
        self._number = max(self._number, int(path.stem, 16) if _numbered(path.stem) else 0)
        if segment.pending:
            segment.close()
            self._segments.append(segment)
        else:
            segment.remove()

    def _full(self, segment: Segment, need: int) -> bool:
        # After a torn end nothing is added: what follows would not be found.
        return segment.torn or segment.size + need > self._segment_bytes

    def _make_room(self, need: int) -> int:
        dropped = 0
        while self._segments and self.size + need > self._most_bytes:
            segment = self._segments.popleft()
            dropped += segment.pending
            if self._head is not None and self._head[0] is segment:
                dropped -= _records(self._head[1])  # on its way: it may yet arrive
            segment.remove()
        return dropped

    def _open(self) -> None:
        path = self.folder / f"{self._number + 1:08x}{SUFFIX}"
        try:
            made = Segment(path, self._write)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        if len(self._segments) > 1:
            self._segments[-1].close()
        self._segments.append(made)
        self._number += 1


def _numbered(stem: str) -> bool:
    return len(stem) == 8 and all(character in "0123456789abcdef" for character in stem)


def _records(kept: list[Kept]) -> int:
    return sum(one.payload.records for one in kept)


def _as_one(kept: list[Kept]) -> Payload:
    """Requests one behind the other are a request: protobuf puts their lists together."""
    first = kept[0].payload
    if len(kept) == 1:
        return first
    return Payload(first.signal, b"".join(one.payload.body for one in kept), _records(kept))
