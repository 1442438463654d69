"""Adds lines to files of trusted keys and takes lines out, leaving every other line as it is."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from emitter.signing.trusted import KeyLineError, PublicKey, parse_line
from stream.keys.private import KeyFileError


def add(path: Path, key: PublicKey) -> None:
    """Trust a key; one that is trusted already stays as it is. Raises KeyFileError."""

    def change(lines: list[str]) -> list[str]:
        return lines if any(_is(line, key.id) for line in lines) else [*lines, key.line()]

    _change(path, change)


def remove(path: Path, key_id: str) -> None:
    """Trust a key no longer. Raises KeyFileError."""
    if path.exists():
        _change(path, lambda lines: [line for line in lines if not _is(line, key_id)])


def _is(line: str, key_id: str) -> bool:
    with suppress(KeyLineError):
        key = parse_line(line)
        return key is not None and key.id == key_id
    return False


def _change(path: Path, change: Callable[[list[str]], list[str]]) -> None:
    try:
        # Replaced through a link, the file that it leads to would stay as it was.
        path = path.resolve()
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.parent):
            before = path.read_text(encoding="utf-8") if path.exists() else ""
            after = "".join(f"{line}\n" for line in change(before.splitlines()))
            if after != before:
                _replace(path, after)
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be changed: {error.strerror or error}") from None


def _replace(path: Path, text: str) -> None:
    mode = path.stat().st_mode & 0o755 if path.exists() else 0o644
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
