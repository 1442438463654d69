"""What a supervisor outside sees of this rank: a small file, rewritten once a second and with each phase.

By a thread of its own: one that waits for an endpoint must not look like one that cannot run. While the
interpreter is held by C code it does not run either, and that is what the supervisor looks for.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from emitter._exits import Restart
from emitter._guard import guard, logger
from emitter.probes.ticker import Ticker
from emitter.vocabulary import events, supervision

if TYPE_CHECKING:
    from emitter._session import Session

EVERY_S: Final = 1.0
COMMANDS: Final = 16
_PR_SET_PTRACER: Final = 0x59616D61
_LOCAL_SIZES: Final = ("LOCAL_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS")


def folder() -> Path | None:
    """Where a supervisor of this process reads, or None without one."""
    name = os.environ.get(supervision.ENV_PULSE)
    found = Path(name) if name else None
    # A launcher may have passed the variable on to a machine that does not have the folder.
    return found if found is not None and found.is_dir() else None


class PulseFile:
    """A probe: ``start`` and ``close``; at the end the file says how it ended."""

    def __init__(self, session: Session, place: Path) -> None:
        self._session, self._place = session, place
        self._pid = os.getpid()
        self._told = False
        self._lock = threading.Lock()
        self._ticker = Ticker("pulse", EVERY_S, self._write)

    def start(self) -> None:
        """Let the supervisor look at our stacks, and begin."""
        _allow_ptrace()
        # Who hangs just after a save must not be given the time that a save may take.
        self._session.phase_listeners.append(self._ticker.soon)
        self._ticker.start()

    def close(self) -> None:
        """The last word; not that of a forked child."""
        self._ticker.close()
        if os.getpid() == self._pid:
            self._write(self._session.outcome())

    def _write(self, ended: dict[str, Any] | None = None) -> None:
        with self._lock:
            # What was begun before the last word must not come after it.
            if ended is not None or not self._ticker.closing:
                self._replace(ended)

    def _replace(self, ended: dict[str, Any] | None) -> None:
        pulse = self._pulse(ended)
        target = self._place / pulse.file()
        part = self._place / f".{pulse.file()}.{self._pid}"
        try:
            part.write_text(pulse.encode())
            part.replace(target)
        except OSError as error:
            if not self._told:
                logger.warning("the supervisor cannot see this rank: %s; training goes on", error)
            self._told = True

    def _pulse(self, ended: dict[str, Any] | None) -> supervision.Pulse:
        session, me = self._session, self._session.identity
        allow = session.settings.allow
        return supervision.Pulse(
            rank=me.rank, pid=self._pid, time=time.time(), monotonic_ns=session.clock.monotonic_ns(),
            progress_ns=session.progress_ns, phase=session.current_phase, steps=session.steps.count,
            step=session.at_step(), attempt=me.attempt, world_size=me.world_size,
            local_world_size=_local_size(), role=session.settings.role,
            heartbeat_s=session.settings.heartbeat_s, allow=None if allow is None else list(allow),
            commands=session.commander.ledger.newest(COMMANDS), ended=ended, asked=_asked(session.restarting),
        )  # fmt: skip


def saved(rank: int, about: Mapping[str, Any]) -> None:
    """A checkpoint is complete: tell the supervisor, who may have to go back to it."""
    with guard:
        place = folder()
        if place is None:
            return
        path = str(about.get(events.CHECKPOINT_PATH))
        row = {
            "step": about.get(events.CHECKPOINT_STEP),
            "path": path if "://" in path else str(Path(path).absolute()),
            "kind": about.get(events.CHECKPOINT_KIND),
            "verified": about.get(events.CHECKPOINT_VERIFIED) is True,
            "time": time.time(),
            "rank": rank,
        }
        _append(place / supervision.CHECKPOINTS_FILE, row)


def reported(stacktrace: str) -> None:
    """This exception is on its way as a record: the supervisor need not tell what is printed of it, too."""
    with guard:
        place = folder()
        if place is not None:
            lines = [line.rstrip() for line in stacktrace.splitlines() if line.strip()]
            _append(place / supervision.EXCEPTIONS_FILE, {"lines": lines})


def _append(file: Path, row: Mapping[str, Any]) -> None:
    line = (json.dumps(row, default=str) + "\n").encode()
    # One write to a file opened for appending: rows of several ranks do not mix.
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def _asked(restart: Restart | None) -> dict[str, Any] | None:
    command = None if restart is None else restart.command
    return (
        None if command is None else {"id": command.id, "action": command.action, "args": dict(command.args)}
    )


def _local_size() -> int | None:
    values = (os.environ.get(name, "") for name in _LOCAL_SIZES)
    return next((int(value) for value in values if value.isdigit()), None)


def _allow_ptrace() -> None:
    """Where Yama lets only ancestors attach (ptrace_scope 1), the supervisor and its py-spy may as well."""
    pid = os.environ.get(supervision.ENV_SUPERVISOR_PID, "")
    if sys.platform == "linux" and pid.isdigit():
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(int(pid)), 0, 0, 0)
