"""``python -I keeper.py CONTROL STATUS COMMAND...``: run COMMAND; nothing of it outlives our parent.

Started by path, so it needs the standard library only. It is a child subreaper (prctl(2)): whatever the
trainer starts, also what detaches itself, stays below it and is found. CONTROL and STATUS are descriptors:
lines ``signal N``, ``end`` (SIGTERM, and SIGKILL after the grace) and ``kill`` come in; lines of JSON go out:
``{"pid"}``, then ``{"status", "left"}``. End of file on CONTROL means that the supervisor is gone.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_GRACE_S = 5.0
_KILL_FOR_S = 30.0
_POLL_S = 0.02


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def descendants() -> list[int]:
    """All processes below this one, zombies left out."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                # The name in parentheses may hold anything, also parentheses.
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                if state != "Z":
                    children.setdefault(int(parent), []).append(int(entry.name))
    found, ahead = [], [os.getpid()]
    while ahead:
        below = children.get(ahead.pop(), [])
        found += below
        ahead += below
    return found


class Keeper:
    """Holds one trainer. ``run`` returns when it and all that it started are gone."""

    def __init__(self, control: int, status: int) -> None:
        self._control, self._status = control, status
        self._pid = 0
        self._ended: int | None = None
        self._kill_at: float | None = None
        self._lines = b""

    def run(self, command: list[str]) -> None:
        """Start it, obey, and tell how it ended."""
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        wake_out, wake_in = os.pipe()
        os.set_blocking(wake_in, False)
        os.set_blocking(wake_out, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(wake_in, warn_on_full_buffer=False)
        self._pid = self._start(command)
        self._tell({"pid": self._pid})
        watched = [self._control, wake_out]
        while self._ended is None:
            ready, _, _ = select.select(watched, [], [], self._wait_s())
            if wake_out in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(wake_out, 4096)
            if self._control in ready and not self._obey():
                watched.remove(self._control)
            if self._kill_at is not None and time.monotonic() >= self._kill_at:
                self._kill_all()
            self._reap()
        left = len(descendants())
        self._clear()
        self._tell({"status": self._ended, "left": left})

    def _start(self, command: list[str]) -> int:
        parent = os.getpid()
        pid = os.fork()
        if pid:
            return pid
        try:
            os.setsid()
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)
            for descriptor in (self._control, self._status):
                os.close(descriptor)
            for number in (signal.SIGPIPE, signal.SIGCHLD):  # Python ignores one, we handle the other
                signal.signal(number, signal.SIG_DFL)
            os.execvp(command[0], command)
        except OSError as error:
            os.write(2, f"trainwarden: {command[0]}: cannot be started: {error.strerror}\n".encode())
            os._exit(127 if isinstance(error, FileNotFoundError) else 126)

    def _obey(self) -> bool:
        """Take in what the supervisor says; False when it is gone."""
        data = os.read(self._control, 4096)
        if not data:
            self._end()
            return False
        *lines, self._lines = (self._lines + data).split(b"\n")
        for line in lines:
            word, _, number = line.partition(b" ")
            if word == b"signal":
                self._signal(int(number))
            elif word == b"kill":
                self._kill_all()
            elif word == b"end":
                self._end()
        return True

    def _signal(self, number: int) -> None:
        if self._ended is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, number)

    def _end(self) -> None:
        for pid in descendants():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGTERM)
        self._kill_at = time.monotonic() + _GRACE_S

    def _kill_all(self) -> None:
        """Again and again: what forks while we look is found the next time."""
        self._kill_at, until = None, time.monotonic() + _KILL_FOR_S
        while (found := descendants()) and time.monotonic() < until:
            for pid in found:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(_POLL_S)
            self._reap()

    def _clear(self) -> None:
        """What the trainer left behind: asked to end, then killed."""
        until = time.monotonic() + _GRACE_S
        if descendants():
            self._end()
        while descendants() and time.monotonic() < until:
            time.sleep(_POLL_S)
            self._reap()
        self._kill_all()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self._pid:
                self._ended = status

    def _wait_s(self) -> float | None:
        return None if self._kill_at is None else max(0.0, self._kill_at - time.monotonic())

    def _tell(self, fact: dict[str, object]) -> None:
        with contextlib.suppress(OSError):
            os.write(self._status, json.dumps(fact).encode() + b"\n")


if __name__ == "__main__":
    Keeper(int(sys.argv[1]), int(sys.argv[2])).run(sys.argv[3:])
