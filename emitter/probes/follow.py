"""One file that grows, is rotated by renaming or by copying and truncating, and may vanish."""

from __future__ import annotations

import os
import stat
from codecs import getincrementaldecoder
from collections.abc import Callable
from pathlib import Path
from typing import Final

from emitter._guard import logger
from emitter.probes.lines import Assembler

MOST_BYTES: Final = 1 << 20
"""Bytes read in one turn."""
FAR_BEHIND: Final = 8 << 20
"""Where more bytes than these wait, all but the last MOST_BYTES are left out."""
IDLE_S: Final = 5.0
"""A line without its end is sent after this long without a byte; a renamed file is let go."""
_MARK: Final = 64
_PLACES: Final = 1024

Place = tuple[int, bytes]
"""How far a file was read, and the last bytes before."""


class Places:
    """How far files were read, by device and inode: a file that was renamed is no new one."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], Place] = {}

    def get(self, key: tuple[int, int]) -> Place | None:
        """Where reading stopped."""
        return self._known.get(key)

    def put(self, key: tuple[int, int], place: Place) -> None:
        """Reading stopped here; the oldest of many places are forgotten."""
        self._known.pop(key, None)
        self._known[key] = place
        if len(self._known) > _PLACES:
            del self._known[next(iter(self._known))]


class Followed:
    """``read()`` gives the lines that were added since the last call."""

    def __init__(
        self,
        path: str,
        places: Places,
        now_s: Callable[[], float],
        told: Callable[[str], None] = lambda trouble: None,
        *,
        from_end: bool = False,
    ) -> None:
        self._path, self._places, self._now_s, self._told = path, places, now_s, told
        self._from_end = from_end
        self._fd = -1
        self._key = (0, 0)
        self._offset, self._mark = 0, b""
        self._lines = Assembler()
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._grown_s = now_s()
        self._written_ns = -1
        self._skipped = 0
        self._cutting = False
        self._why = ""
        if from_end:
            self._open()

    def read(self) -> list[str]:
        """New lines; none where the file is not there or not readable."""
        try:
            return self._read()
        except OSError as error:
            self._refuse(str(error))
            self._let_go()
            return []

    def take_skipped(self) -> int:
        """Lines that were left out since the last call, because too much was added at once."""
        skipped, self._skipped = self._skipped, 0
        return skipped

    def close(self) -> list[str]:
        """The beginning of a line, where one waits."""
        self._let_go()
        return self._lines.flush()

    def _read(self) -> list[str]:
        if self._fd < 0 and not self._open():
            return []
        lines = self._added()
        if self._at_end() and self._gone():
            lines += self._lines.flush()
            self._let_go()
            if self._open():
                lines += self._added()
        if self._lines.waits and self._now_s() - self._grown_s >= IDLE_S:
            lines += self._lines.flush()
        return lines

    def _open(self) -> bool:
        try:
            # Not blocking: the name may be that of a pipe.
            fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            self._refuse(str(error))
            return False
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            self._refuse(f"{self._path}: not a regular file")
            return False
        self._fd, self._key, self._why = fd, (status.st_dev, status.st_ino), ""
        self._offset, self._mark = self._places.get(self._key) or (0, b"")
        if self._rewritten():  # the number of an old file, given to a new one
            self._offset, self._mark = 0, b""
        if self._from_end:
            self._move(status.st_size)
            self._from_end = False
        return True

    def _added(self) -> list[str]:
        status = os.fstat(self._fd)
        size, written_ns, self._written_ns = status.st_size, self._written_ns, status.st_mtime_ns
        if size == self._offset and written_ns == self._written_ns:
            return []
        lines: list[str] = []
        if size < self._offset or self._rewritten():
            lines += self._lines.flush()
            self._move(0)
        if size - self._offset > FAR_BEHIND:
            self._skip(size - MOST_BYTES)
        data = os.pread(self._fd, MOST_BYTES, self._offset)
        if not data:
            return lines
        self._offset += len(data)
        self._mark = (self._mark + data)[-_MARK:]
        self._grown_s = self._now_s()
        self._places.put(self._key, (self._offset, self._mark))
        return lines + self._lines.feed(self._decoder.decode(self._uncut(data)))

    def _rewritten(self) -> bool:
        """It was truncated and has grown beyond where we were."""
        mark = self._mark
        return bool(mark) and os.pread(self._fd, len(mark), self._offset - len(mark)) != mark

    def _move(self, offset: int) -> None:
        before = max(0, offset - _MARK)
        self._mark = os.pread(self._fd, offset - before, before)
        self._offset = offset
        self._decoder.reset()
        self._places.put(self._key, (offset, self._mark))

    def _skip(self, offset: int) -> None:
        """Leave out what lies before; the lines are counted in steps, without keeping them."""
        while self._offset < offset:
            data = os.pread(self._fd, min(MOST_BYTES, offset - self._offset), self._offset)
            if not data:
                break
            self._skipped += data.count(b"\n")
            self._offset += len(data)
        self._lines.flush()
        self._move(self._offset)
        self._cutting = True

    def _uncut(self, data: bytes) -> bytes:
        """Without the rest of a line whose beginning was left out."""
        if not self._cutting:
            return data
        _, newline, rest = data.partition(b"\n")
        self._cutting = not newline
        self._skipped += len(newline)
        return rest

    def _at_end(self) -> bool:
        return self._offset >= os.fstat(self._fd).st_size

    def _gone(self) -> bool:
        """Another file has the name; or none, for so long that nobody writes to the old one."""
        try:
            status = Path(self._path).stat()
        except FileNotFoundError:
            return self._now_s() - self._grown_s >= IDLE_S
        return (status.st_dev, status.st_ino) != self._key

    def _let_go(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _refuse(self, why: str) -> None:
        if why != self._why:
            self._why = why
            logger.debug("not followed for now: %s", why)
            self._told(why)
