"""The trainer's output: passed on unchanged at once, and line by line to whoever listens."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import termios
import threading
import tty
from codecs import getincrementaldecoder
from collections.abc import Callable
from typing import Final

from emitter.probes.lines import Assembler

PIECE: Final = 1 << 16
_WINDOW: Final = b"\0" * 8


class Stream:
    """One of stdout and stderr. Where ours is a terminal, the trainer gets one, too: progress bars ask.

    ``heard(name, line)`` is called from a thread of its own, and must not wait.
    """

    def __init__(self, name: str, ours: int, heard: Callable[[str, str], None]) -> None:
        self.name, self._ours, self._heard = name, ours, heard
        self._terminal = os.isatty(ours)
        self._read, self.child_side = pty.openpty() if self._terminal else os.pipe()
        if self._terminal:
            tty.setraw(self.child_side)
            self.resize()
        self._lines = Assembler()
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._broken = False
        self._thread = threading.Thread(target=self._run, name=f"trainwarden-{name}", daemon=True)

    def start(self) -> None:
        """The trainer has its side: let go of it, and read."""
        os.close(self.child_side)
        self._thread.start()

    def finish(self, timeout_s: float) -> None:
        """Wait until all was read; what a process that got away still holds open is left."""
        self._thread.join(timeout_s)

    def resize(self) -> None:
        """Our window has another size now."""
        if self._terminal:
            with contextlib.suppress(OSError):
                size = fcntl.ioctl(self._ours, termios.TIOCGWINSZ, _WINDOW)
                fcntl.ioctl(self._read, termios.TIOCSWINSZ, size)

    def _run(self) -> None:
        while data := self._next():
            self._pass_on(data)
            self._tell(self._lines.feed(self._decoder.decode(data)))
        self._tell(self._lines.flush())
        os.close(self._read)

    def _next(self) -> bytes:
        try:
            return os.read(self._read, PIECE)
        except OSError:  # a pseudo terminal ends with EIO
            return b""

    def _pass_on(self, data: bytes) -> None:
        """Nobody reads us any more: the trainer goes on, unheard."""
        rest = memoryview(data)
        while rest and not self._broken:
            try:
                rest = rest[os.write(self._ours, rest) :]
            except BlockingIOError:
                continue
            except OSError:
                self._broken = True

    def _tell(self, lines: list[str]) -> None:
        for line in lines:
            self._heard(self.name, line)
