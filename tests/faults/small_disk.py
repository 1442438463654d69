"""A small disk of its own for a child process: tmpfs in a mount namespace that nobody else sees."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_MOUNT: Final = 'mount -t tmpfs -o "size=$1" tmpfs "$2" && shift 2 && exec "$@"'
_BLOCK: Final = 65_536


def unavailable() -> str | None:
    """Why there can be none here; None where it works."""
    if shutil.which("unshare") is None:
        return "needs unshare (util-linux)"
    tried = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", "mount -t tmpfs tmpfs /mnt"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"no mount namespaces here: {tried.stderr.strip()}" if tried.returncode else None


def on_small_disk(folder: Path, size: str, argv: Sequence[str]) -> list[str]:
    """The command line of ``argv`` with a disk of this size mounted at ``folder``, for itself alone."""
    folder.mkdir()
    return ["unshare", "-Urm", "sh", "-c", _MOUNT, "sh", size, str(folder), *argv]


class Disk:
    """The small disk of a running process, seen from outside."""

    def __init__(self, pid: int, folder: Path) -> None:
        self._filler = Path(f"/proc/{pid}/root{folder}") / "filler"

    def fill(self) -> None:
        """Write until there is no space left."""
        with self._filler.open("wb", buffering=0) as file:
            for size in (_BLOCK, 512, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    continue

    def free(self) -> None:
        """Give the space back."""
        self._filler.unlink()
