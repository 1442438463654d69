"""One endpoint per data directory: an advisory lock that the system drops when the process dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from stream.clickhouse.errors import EndpointError


def acquire(path: Path) -> IO[str]:
    """Hold `path` until the returned file is closed; EndpointError names the holder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 - held as long as the engine is open
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise EndpointError(
            f"{path.parent}: already served by another ClickHouse endpoint (pid {holder}); "
            "stop that one or choose another --data-dir"
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
