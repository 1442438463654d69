"""How far each file has been shipped: one small file beside them, replaced after every acknowledged request.

A crash between the acknowledgement and the replacing sends one request twice; the records' own sequence
numbers tell it apart.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from pathlib import Path
from typing import Any, Final

from stream.shipping.errors import ShippingError

NAME: Final = ".shipped.json"
VERSION: Final = 1


class Cursor:
    """Places by file name, for one target. Holds a lock until it is closed. Raises ShippingError."""

    def __init__(self, path: Path, target: str) -> None:
        self._path, self._target = path, target
        self._lock = self._locked(path.with_suffix(".lock"))
        try:
            self._all = self._load()
        except BaseException:
            self.close()
            raise
        self._places: dict[str, Any] = self._all["targets"].setdefault(target, {})

    def place(self, name: str) -> tuple[int, str]:
        """Bytes shipped of the file, and what its beginning was then."""
        found = self._places.get(name) or {}
        return int(found.get("offset", 0)), str(found.get("begins", ""))

    def move(self, name: str, offset: int, begins: str) -> None:
        """The file is shipped up to there."""
        self._places[name] = {"offset": offset, "begins": begins}

    def save(self) -> None:
        """Write it down: whole, or not at all."""
        part = self._path.with_suffix(".part")
        try:
            with part.open("w") as file:
                json.dump(self._all, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._path)
        except OSError as error:
            raise _unwritable(self._path, error) from None

    def close(self) -> None:
        """Let another one ship."""
        with contextlib.suppress(OSError):
            os.close(self._lock)

    def _locked(self, path: Path) -> int:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise _unwritable(path, error) from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise ShippingError(f"{self._path}: another `trainwarden ship` is at work here") from None
        return fd

    def _load(self) -> dict[str, Any]:
        try:
            found = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {"version": VERSION, "targets": {}}
        except (OSError, ValueError) as error:
            raise ShippingError(
                f"{self._path}: cannot be read ({error}); delete it to ship all files again"
            ) from None
        if not isinstance(found, dict) or not isinstance(found.get("targets"), dict):
            raise ShippingError(
                f"{self._path}: expected a cursor, got other JSON; delete it to ship all again"
            )
        return found


def _unwritable(path: Path, error: OSError) -> ShippingError:
    why = error.strerror or error
    return ShippingError(f"{path}: cannot be written ({why}); --cursor FILE names another place")
