"""Folders of spools: whose is which, and how one is taken over from a process that has ended.

    ROOT/TARGET/EMITTER.spool/   of a process; it holds a lock on ``owner`` as long as it lives
    ROOT/TARGET/NEW-from-OLD.spool/   taken over: renamed by NEW, which only one process can do

TARGET is a hash of the endpoint: what is meant for one is never sent to another. The lock goes with the
process, whatever ended it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_SUFFIX: Final = ".spool"
_OWNER: Final = "owner"


class Folder:
    """A folder that is ours: its lock is held until ``release``."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock: int | None = lock

    def release(self, *, remove: bool) -> None:
        """Let go of it, with all that is in it where nothing is to be kept."""
        if remove:
            shutil.rmtree(self.path, ignore_errors=True)
        self.forget()

    def forget(self) -> None:
        """In a forked child: the lock is the parent's, and must not outlive it in here."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


def default_root() -> Path:
    """A folder of this user that outlives the process, on a disk of this machine; it may not be there."""
    return Path(tempfile.gettempdir()) / f"trainwarden-{os.getuid()}" / "spool"


def make_default_root() -> Path:
    """The same, made where it is not there. Raises OSError, also where another user has taken the place."""
    root = default_root()
    root.parent.mkdir(exist_ok=True, mode=0o700)
    if not _is_ours(root.parent):
        raise PermissionError(f"{root.parent} is not a folder of this user")
    return root


def _is_ours(folder: Path) -> bool:
    found = folder.lstat()
    return found.st_uid == os.getuid() and stat.S_ISDIR(found.st_mode)


def place(root: Path, target: str) -> Path:
    """Where the spools for this endpoint are."""
    return root / hashlib.sha256(target.encode()).hexdigest()[:16]


def create(folder: Path, emitter: str) -> Folder:
    """A new folder for this emitter. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Nobody may find it before its lock is held.
    hidden = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
    lock = _locked(hidden)
    if lock is None:
        raise OSError(f"{hidden / _OWNER}: cannot be locked")
    path = folder / f"{_name(emitter)}{_SUFFIX}"
    try:
        hidden.rename(path)
    except OSError:
        os.close(lock)
        shutil.rmtree(hidden, ignore_errors=True)
        raise
    return Folder(path, lock)


def claim(folder: Path, emitter: str) -> Iterator[Folder]:
    """The folders here whose owners have ended, each taken over by renaming it."""
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        with contextlib.suppress(OSError):
            lock = _locked(path) if _is_ours(path) else None
            if lock is None:
                continue
            origin = path.name.removesuffix(_SUFFIX).rpartition("-from-")[2]
            ours = folder / f"{_name(emitter)}-from-{origin}{_SUFFIX}"
            try:
                path.rename(ours)
            except OSError:
                os.close(lock)
                continue
            yield Folder(ours, lock)


def _locked(path: Path) -> int | None:
    """The descriptor that holds the lock, None where somebody else does. Raises OSError."""
    lock = os.open(path / _OWNER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def _name(emitter: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.]", "_", emitter)[:80]
