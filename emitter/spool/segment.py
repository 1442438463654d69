"""One file of a spool: requests one after the other, each with a checksum, each marked once it was delivered.

Layout, little-endian: ``TWSPOOL1``, then for each request a mark (1 byte, ``p`` pending or ``d`` done), the
signal (1), two bytes unused, the number of records (4), the length (4), the CRC-32 of all that but the mark
and of the body (4), the body. What a crash left half written fails its checksum, and ends the file.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from emitter._records import LOGS, TRACES, Payload

MAGIC: Final = b"TWSPOOL1"
_HEAD: Final = struct.Struct("<BBHIII")
_CHECKED: Final = struct.Struct("<BHII")
_PENDING, _DONE = ord("p"), ord("d")
_SIGNALS: Final = (LOGS, TRACES)
LARGEST: Final = 1 << 28
TOGETHER: Final = 1 << 18
"""Bytes of several requests that are sent as one."""

Write = Callable[[int, bytes, int], int]
"""``os.pwrite``: descriptor, bytes, offset -> how many were written."""


class Kept(NamedTuple):
    """A request in a file, and where it begins."""

    offset: int
    payload: Payload


def size_of(payload: Payload) -> int:
    """Bytes of a request in the file."""
    return _HEAD.size + len(payload.body)


class Segment:
    """``pending``: records not delivered; ``size``: bytes that are good; ``torn``: what follows is not.

    The file is open from its first use to ``close``: a trainer has only so many descriptors.
    """

    def __init__(self, path: Path, write: Write = os.pwrite) -> None:
        """Open the file, or make it. Raises OSError, and ValueError where it is no segment."""
        self.path = path
        self._write = write
        self._descriptor: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.size = self._next = len(MAGIC)
        self.pending = 0
        self.torn = False
        try:
            self._check()
        except BaseException:
            self.close()
            raise

    def append(self, payload: Payload) -> None:
        """Add a request. Raises OSError, and the file is as it was."""
        body, signal = payload.body, _SIGNALS.index(payload.signal)
        crc = zlib.crc32(body, zlib.crc32(_CHECKED.pack(signal, 0, payload.records, len(body))))
        head = _HEAD.pack(_PENDING, signal, 0, payload.records, len(body), crc)
        try:
            self._all(head + body, self.size)
        except OSError:
            self._cut()
            raise
        self.size += len(head) + len(body)
        self.pending += payload.records

    def head(self) -> Kept | None:
        """The first request that was not delivered. Raises OSError."""
        while self._next < self.size:
            found = self._read(self._next)
            if found is None:
                self.torn, self.size, self.pending = True, self._next, 0
                return None
            mark, kept = found
            if mark == _PENDING:
                return kept
            self._next += size_of(kept.payload)
        return None

    def heads(self, most: int, records: int) -> list[Kept]:
        """The first that were not delivered and are of one signal: so many at most, with so many records.

        Never less than one where one is there. Raises OSError.
        """
        first = self.head()
        if first is None:
            return []
        found, room, size = [first], records - first.payload.records, len(first.payload.body)
        at = first.offset + size_of(first.payload)
        while len(found) < most and at < self.size and (read := self._read(at)) is not None:
            mark, kept = read
            at += size_of(kept.payload)
            room, size = room - kept.payload.records, size + len(kept.payload.body)
            if (mark, kept.payload.signal) != (_PENDING, first.payload.signal) or room < 0 or size > TOGETHER:
                break
            found.append(kept)
        return found

    def done(self, kept: Kept) -> None:
        """This request, the first, was delivered; a crash before the mark is written sends it again."""
        self._next = kept.offset + size_of(kept.payload)
        self.pending -= kept.payload.records
        self._write(self._file, bytes([_DONE]), kept.offset)

    def close(self) -> None:
        """Release the file, until it is used again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def remove(self) -> None:
        """Release the file and delete it."""
        self.close()
        self.path.unlink(missing_ok=True)

    @property
    def _file(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        return self._descriptor

    def _check(self) -> None:
        """Read what is there: how much of it is good, and how much waits."""
        end = os.fstat(self._file).st_size
        if end < len(MAGIC):
            self._all(MAGIC, 0)
            return
        if os.pread(self._file, len(MAGIC), 0) != MAGIC:
            raise ValueError(f"{self.path}: expected a file that begins with {MAGIC.decode()}")
        while self.size < end:
            found = self._read(self.size)
            if found is None:
                self.torn = True
                return
            mark, kept = found
            self.pending += kept.payload.records if mark == _PENDING else 0
            self.size += size_of(kept.payload)

    def _read(self, offset: int) -> tuple[int, Kept] | None:
        """The request at this place, None where it is torn."""
        head = os.pread(self._file, _HEAD.size, offset)
        if len(head) < _HEAD.size:
            return None
        mark, signal, unused, records, length, crc = _HEAD.unpack(head)
        if mark not in (_PENDING, _DONE) or signal >= len(_SIGNALS) or length > LARGEST:
            return None
        body = os.pread(self._file, length, offset + _HEAD.size)
        if zlib.crc32(body, zlib.crc32(_CHECKED.pack(signal, unused, records, length))) != crc:
            return None
        return mark, Kept(offset, Payload(_SIGNALS[signal], body, records))

    def _all(self, data: bytes, offset: int) -> None:
        """Write all of it, however little goes at a time."""
        view = memoryview(data)
        while view:
            written = self._write(self._file, bytes(view), offset)
            view, offset = view[written:], offset + written

    def _cut(self) -> None:
        try:
            os.ftruncate(self._file, self.size)
        except OSError:
            # What is left there fails its checksum, and the next request is written over it.
            return
