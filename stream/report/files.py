"""Where a report goes: a new file, or the standard output."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Final

from stream.report.errors import FileError

STDOUT: Final = "-"
_LONGEST: Final = 80


def default(name: str, suffix: str) -> Path:
    """A name in this folder, made of what people call the thing."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:_LONGEST] or "report"
    return Path(f"{plain}.{suffix}")


def check(path: Path, replace: bool) -> None:
    """Whether it may be written, before anything is asked. Raises FileError."""
    if path.is_dir():
        raise FileError(f"{path}: expected a file, is a folder", usage=True)
    if path.exists() and not replace:
        raise FileError(f"{path} exists: name another file, or say --force to replace it", usage=True)
    folder = path.parent
    if not folder.is_dir():
        raise FileError(f"{path}: there is no folder {folder}", usage=True)
    if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise FileError(f"{path}: cannot be written: permission denied")


def write(path: Path, text: str) -> None:
    """All of it, or nothing. Raises FileError."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name[:40]}.", delete=False
        ) as made:
            made.write(text)
        Path(made.name).chmod(0o666 & ~_mask())
        Path(made.name).replace(path)
    except OSError as error:
        raise FileError(f"{path}: cannot be written: {error.strerror or error}") from error


def _mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
