"""Opening recorded data: files and stdin, gzip and zstd seen by their first bytes, errors as sentences."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Final, cast

from stream.offline.errors import ReadError

STDIN: Final = "-"
HEAD: Final = 65_536
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"


class Opened:
    """A readable file. ``head`` is its beginning (decompressed), still to be read from ``stream``."""

    def __init__(self, name: str, stream: io.BufferedReader, compressed: str) -> None:
        self.name = name
        self.stream = stream
        self.compressed = compressed
        self.head = b""

    def fill_head(self) -> None:
        """Look at the beginning without taking it."""
        self.head = self.stream.peek(HEAD)[:HEAD]


@contextmanager
def opened(path: Path, name: str) -> Iterator[Opened]:
    """The file as a stream of decompressed bytes. Raises ReadError."""
    with readable(name, ""):
        raw = _raw(path)
    try:
        with readable(name, ""):
            start = raw.peek(4)[:4]
            stream, compressed = _plain(raw, start, name)
            source = Opened(name, stream, compressed)
        with readable(name, "its beginning"):
            source.fill_head()
        yield source
    finally:
        if str(path) != STDIN:
            raw.close()


def _raw(path: Path) -> io.BufferedReader:
    if str(path) == STDIN:
        stdin: Any = sys.stdin.buffer
        return stdin if isinstance(stdin, io.BufferedReader) else io.BufferedReader(stdin)
    return io.BufferedReader(io.FileIO(path), HEAD)


def _plain(raw: io.BufferedReader, start: bytes, name: str) -> tuple[io.BufferedReader, str]:
    if start.startswith(_GZIP):
        return io.BufferedReader(cast("Any", gzip.GzipFile(fileobj=raw)), HEAD), "gzip"
    if start.startswith(_ZSTD):
        return io.BufferedReader(cast("Any", _zstd(raw, name)), HEAD), "zstd"
    return raw, ""


def _zstd(raw: IO[bytes], name: str) -> IO[bytes]:
    """Python 3.14 reads zstd itself; before that the package zstandard does."""
    try:
        module = import_module("compression.zstd")
    except ImportError:
        pass
    else:
        return cast("IO[bytes]", module.ZstdFile(raw))
    try:
        module = import_module("zstandard")
    except ImportError:
        cure = "expected the package zstandard for zstd data; pip install 'trainwarden[embedded]'"
        raise ReadError(name, "", cure) from None
    return cast("IO[bytes]", module.ZstdDecompressor().stream_reader(raw, read_across_frames=True))


@contextmanager
def readable(name: str, place: str) -> Iterator[None]:
    """Turn what reading can raise into one ReadError that names the file and the place."""
    try:
        yield
    except ReadError:
        raise
    except EOFError:
        raise ReadError(name, place, "the compressed data ends in the middle; the rest is lost") from None
    except (zlib.error, gzip.BadGzipFile) as error:
        raise ReadError(name, place, f"the gzip data is broken ({error})") from None
    except OSError as error:
        raise ReadError(name, place, f"cannot be read: {error.strerror or error}") from None
    except Exception as error:
        if type(error).__name__ not in ("ZstdError",):
            raise
        raise ReadError(name, place, f"the zstd data is broken ({error})") from None
