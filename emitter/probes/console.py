"""What the process prints through ``sys.stdout`` and ``sys.stderr`` -> ``train.log``.

The streams stay the same objects; only their ``write`` is wrapped. Redirecting the file descriptors into a
pipe would also see child processes and C code, but the trainer would hang or die with whoever reads the
pipe, and ``isatty`` would change.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections import deque
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from emitter import _quiet
from emitter._guard import guard, logger
from emitter.probes.lines import Assembler, Emit, Outlet, severity
from emitter.probes.worker import Worker

IOSTREAM: Final = "log.iostream"
EVERY_S: Final = 0.25
MOST_PIECES: Final = 8192
"""Writes that wait for the thread; more are counted and left out."""
PIECE: Final = 16384
_IDLE_TURNS: Final = 20
_FRAMES: Final = 24
_CALL_HANDLERS: Final = logging.Logger.callHandlers.__code__


class Console:
    """``start`` and ``stop`` wrap and unwrap; ``turn`` sends what was written, ``last`` the rest too.

    ``logs``: records of ``logging`` are sent by themselves, so what its handlers print is left out here.
    ``hooks``: as much for the traceback of an exception that nobody caught.
    """

    def __init__(
        self,
        emit: Emit,
        per_s: int,
        *,
        logs: bool,
        hooks: bool,
        told: Callable[[str], None] = lambda trouble: None,
    ) -> None:
        self._logs, self._hooks, self._told = logs, hooks, told
        self._outlets = {name: Outlet(emit, name, per_s) for name in ("stdout", "stderr")}
        self._pieces: deque[tuple[str, int, str]] = deque()
        self._lines: dict[tuple[str, int], tuple[Assembler, int]] = {}
        self._turn = 0
        self._lost = 0
        self._undo: list[Callable[[], None]] = []
        self.on = False

    def start(self) -> None:
        """Wrap both streams, once where they are one."""
        self.on = True
        wrapped: list[Any] = []
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is not None and not any(stream is other for other in wrapped):
                wrapped.append(stream)
                self._wrap(stream, name)

    def stop(self) -> None:
        """Unwrap; where somebody wrapped us, stay in the chain and only pass on."""
        self.on = False
        while self._undo:
            self._undo.pop()()

    def turn(self) -> None:
        """Send the lines that are whole, and those that nobody continues."""
        self._turn += 1
        while self._pieces:
            name, thread, text = self._pieces.popleft()
            assembler, _ = self._lines.get((name, thread)) or (Assembler(), 0)
            self._lines[name, thread] = assembler, self._turn
            self._send(name, assembler.feed(text))
        self._flush(self._turn - _IDLE_TURNS)
        lost, self._lost = self._lost, 0
        self._outlets["stdout"].drop(lost)
        for outlet in self._outlets.values():
            outlet.tell()

    def last(self) -> None:
        """Send all that is left."""
        self.turn()
        self._flush(self._turn)
        for outlet in self._outlets.values():
            outlet.tell(now=True)

    def _flush(self, until: int) -> None:
        for key, (assembler, turn) in list(self._lines.items()):
            if turn <= until:
                del self._lines[key]
                self._send(key[0], assembler.flush())

    def _send(self, name: str, lines: list[str]) -> None:
        for line in lines:
            self._outlets[name].send(line, severity(line), {IOSTREAM: name})

    def _wrap(self, stream: Any, name: str) -> None:
        before, had = stream.write, "write" in getattr(stream, "__dict__", ())

        def write(text: str, /) -> Any:
            written = before(text)
            if self.on:
                with guard:
                    self._take(name, text)
            return written

        def undo() -> None:
            if stream.__dict__.get("write") is write:
                if had:
                    stream.write = before
                else:
                    del stream.write

        try:
            stream.write = write
        except (AttributeError, TypeError) as error:
            logger.debug("sys.%s is not listened to: %s", name, error)
            self._told(f"sys.{name}: {error}")
            return
        self._undo.append(undo)

    def _take(self, name: str, text: str) -> None:
        thread = threading.get_ident()
        if not isinstance(text, str) or _quiet.is_ours(thread) or self._sent_already(sys._getframe(2)):
            return
        if len(self._pieces) >= MOST_PIECES:
            self._lost += text.count("\n")
        else:
            self._pieces.append((name, thread, text if len(text) <= PIECE else _cut(text)))

    def _sent_already(self, start: FrameType) -> bool:
        frame: FrameType | None = start
        for _ in range(_FRAMES):
            if frame is None:
                return False
            if frame.f_code is _CALL_HANDLERS:
                record = frame.f_locals["record"]
                is_ours = record.name.partition(".")[0] == "emitter"
                return is_ours or (self._logs and record.levelno >= logging.INFO)
            if frame.f_code.co_name == "hook" and frame.f_globals.get("__name__") == "emitter._hooks":
                return self._hooks
            frame = frame.f_back
        return False


class Listening:
    """A console with the thread that sends what it hears."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._worker = Worker("console", EVERY_S, console.turn, console.last)

    def start(self) -> None:
        """Begin to listen."""
        self._worker.start()
        self.console.start()

    def close(self) -> None:
        """Listen no more; what was written before is sent."""
        self.console.stop()
        self._worker.close()


def _cut(text: str) -> str:
    """A huge write costs as much as a large one; how it ends says whether the line goes on."""
    return f"{text[:PIECE]} ...\n" if text.endswith("\n") else f"{text[:PIECE]} ..."
