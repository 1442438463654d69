"""HTTP content codings, both ways: gzip, deflate, zstd, lz4, xz, bz2.

reader(encoding, file): a request body, decompressed in bounded pieces.
chosen(accept) and compressor(encoding): for answers.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, Final, Protocol

import lz4.frame
import zstandard

from stream.clickhouse.errors import ClickHouseError

_PIECE: Final = 1 << 18
# Four bytes of zstd may stand for 128 KiB, so little is taken at a time.
_ZSTD_PIECE: Final = 1 << 13
_PREFERRED: Final = ("zstd", "lz4", "gzip", "deflate", "xz", "bz2")
_FAILURES: Final = (OSError, EOFError, RuntimeError, zlib.error, lzma.LZMAError, zstandard.ZstdError)


class Reader(Protocol):
    """Where a request body is read from."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes, b"" at the end."""


class Compressor(Protocol):
    """What an answer is sent through."""

    def compress(self, data: bytes, /) -> bytes:
        """What is ready after taking in `data`."""

    def flush(self) -> bytes:
        """The rest."""


def reader(encoding: str, file: IO[bytes]) -> Reader:
    """`file` decompressed; ClickHouseError 48 for an unknown coding. Read it inside `errors`."""
    opener = _OPENERS.get(encoding.strip().lower())
    if opener is None:
        known = ", ".join(_PREFERRED)
        raise ClickHouseError(48, f"Unknown Content-Encoding {encoding!r}: expected one of {known}")
    opened: Reader = opener(file)
    return opened


@contextmanager
def errors(encoding: str) -> Iterator[None]:
    """Turn what the decompressors raise into ClickHouseError 271."""
    try:
        yield
    except ClickHouseError:
        raise
    except _FAILURES as error:
        raise ClickHouseError(271, f"Cannot decompress the request body as {encoding}: {error}") from None


def chosen(accept: str) -> str | None:
    """The coding to answer with for an Accept-Encoding header, or None for none."""
    accepted = set()
    for part in accept.split(","):
        name, _, weight = part.partition(";")
        if weight.replace(" ", "").rstrip("0.") != "q=":
            accepted.add(name.strip().lower())
    return next((name for name in _PREFERRED if name in accepted), None)


def compressor(encoding: str) -> Compressor:
    """A compressor for one answer, tuned for speed."""
    made: Compressor = _COMPRESSORS[encoding]()
    return made


class _Deflated:
    """zlib data in bounded pieces."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._zlib = zlib.decompressobj()

    def read(self, size: int, /) -> bytes:
        while not self._zlib.eof:
            piece = self._zlib.unconsumed_tail or self._file.read(_PIECE)
            if not piece:
                raise EOFError("the data ends too early")
            if out := self._zlib.decompress(piece, size):
                return out
        return b""


class _Zstd:
    """zstd frames. The library's own reader takes a cut-off frame for the end of the data."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._frame: Any = None
        self._packed = b""
        self._ready = b""

    def read(self, size: int, /) -> bytes:
        while not self._ready:
            self._packed = self._packed or self._file.read(_ZSTD_PIECE)
            if not self._packed:
                if self._frame is not None:
                    raise EOFError("the data ends too early")
                return b""
            self._decode()
        out, self._ready = self._ready[:size], self._ready[size:]
        return out

    def _decode(self) -> None:
        self._frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
        self._ready = self._frame.decompress(self._packed)
        self._packed = b""
        if self._frame.eof:
            self._packed, self._frame = self._frame.unused_data, None


class _Lz4:
    """lz4 frames, which need a header before the first piece."""

    def __init__(self) -> None:
        self._frame = lz4.frame.LZ4FrameCompressor()
        self._header: bytes | None = self._frame.begin()

    def compress(self, data: bytes, /) -> bytes:
        header, self._header = self._header or b"", None
        return header + bytes(self._frame.compress(data))

    def flush(self) -> bytes:
        header, self._header = self._header or b"", None
        return header + bytes(self._frame.flush())


_OPENERS: Final[dict[str, Callable[[Any], Any]]] = {
    "": lambda file: file,
    "identity": lambda file: file,
    "gzip": lambda file: gzip.GzipFile(fileobj=file, mode="rb"),
    "x-gzip": lambda file: gzip.GzipFile(fileobj=file, mode="rb"),
    "deflate": _Deflated,
    "zstd": _Zstd,
    "lz4": lz4.frame.open,
    "xz": lzma.open,
    "bz2": bz2.open,
}
_COMPRESSORS: Final[dict[str, Callable[[], Any]]] = {
    "zstd": lambda: zstandard.ZstdCompressor(level=1).compressobj(),
    "lz4": _Lz4,
    "gzip": lambda: zlib.compressobj(3, wbits=31),
    "deflate": lambda: zlib.compressobj(3),
    "xz": lambda: lzma.LZMACompressor(preset=1),
    "bz2": lambda: bz2.BZ2Compressor(1),
}
