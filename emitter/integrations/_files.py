"""Whether what a trainer wrote is whole: sizes, headers and checksums that the formats carry themselves."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

CHUNK: Final = 1 << 20
_ZIP: Final = b"PK\x03\x04"
_HEADER_LIMIT: Final = 1 << 30


class DamagedError(Exception):
    """A file of a checkpoint is not what it must be; the message names it."""


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return sum(file.stat().st_size for file in _files(path))


def check(path: Path) -> None:
    """Look at the ends of the files, which is quick: nothing is cut short. Raises DamagedError, OSError."""
    for file in _files(path):
        _guarded(file, _check_ends)


def read_back(path: Path) -> str:
    """Read every byte, compare what carries a checksum with it; gives one checksum of all.

    Zip files (all that ``torch.save`` writes) carry a CRC for each tensor, safetensors files only their
    size. Raises DamagedError and OSError.
    """
    whole = hashlib.sha256()
    for file in _files(path):
        _guarded(file, _check_ends)
        _guarded(file, _check_content)
        whole.update(f"{file.relative_to(path) if file != path else file.name}\0".encode())
        with file.open("rb") as opened:
            while chunk := opened.read(CHUNK):
                whole.update(chunk)
    return f"sha256:{whole.hexdigest()}"


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    found = [Path(folder) / name for folder, _, names in os.walk(path) for name in names]
    if not found:
        raise DamagedError(f"{path}: expected files, found none")
    yield from sorted(found)


def _guarded(file: Path, look: Callable[[Path], None]) -> None:
    try:
        look(file)
    except (ValueError, zipfile.BadZipFile, RecursionError) as error:
        raise DamagedError(f"{file.name}: {error}") from None


def _check_ends(file: Path) -> None:
    if file.suffix == ".safetensors":
        _check_safetensors(file)
    elif file.suffix == ".json":
        json.loads(file.read_bytes())
    elif file.suffix in (".pt", ".pth", ".bin", ".ckpt") and not file.stat().st_size:
        raise ValueError("the file is empty")
    elif _is_zip(file):
        zipfile.ZipFile(file).close()


def _check_safetensors(file: Path) -> None:
    """Eight bytes of length, a JSON header with the place of each tensor, the tensors."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if not 2 <= length <= min(_HEADER_LIMIT, size - 8):
            raise ValueError(f"the header says it is {length} bytes long, the file has {size}")
        header = json.loads(opened.read(length))
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    expected = 8 + length + max(ends, default=0)
    if size != expected:
        raise ValueError(f"expected {expected} bytes as the header says, got {size}")


def _check_content(file: Path) -> None:
    if _is_zip(file):
        with zipfile.ZipFile(file) as archive:
            bad = archive.testzip()
        if bad is not None:
            raise ValueError(f"the checksum of {bad} does not fit its content")


def _is_zip(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(4) == _ZIP
