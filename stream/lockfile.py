"""One process per directory: an advisory lock that the system drops when its holder dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO


class LockHeldError(Exception):
    """Another process holds the lock; ``holder`` is its process id as text, or "unknown"."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"held by process {holder}")
        self.holder = holder


def hold(path: Path) -> IO[str]:
    """Hold ``path`` until the returned file is closed. Raises LockHeldError, or OSError for the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise LockHeldError(holder) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
