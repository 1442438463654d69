"""Request bodies: taken in from the network to a spool first, read by the engine's thread afterwards."""

from __future__ import annotations

import io
import tempfile
from collections.abc import AsyncIterable, Iterator
from pathlib import Path
from typing import IO, Final, cast

from stream.clickhouse import compression
from stream.clickhouse.errors import ClickHouseError
from stream.clickhouse.limits import Limits

_PIECE: Final = 1 << 20


class Body:
    """A received body, read once from its beginning; `limit` counts decompressed bytes."""

    def __init__(self, file: IO[bytes], encoding: str, limit: int) -> None:
        file.seek(0)
        self._file = file
        self._encoding = encoding
        self._limit = limit
        self._reader = compression.reader(encoding, file)
        self._held = b""
        self._read = 0

    def peek(self, size: int) -> bytes:
        """The next `size` bytes (fewer at the end) without taking them."""
        while len(self._held) < size and (piece := self._next(size - len(self._held))):
            self._held += piece
        return self._held[:size]

    def skip(self, size: int) -> None:
        """Take `size` bytes that were peeked at."""
        self._held = self._held[size:]

    def pieces(self) -> Iterator[bytes]:
        """What is left, in pieces of about 1 MiB."""
        if self._held:
            held, self._held = self._held, b""
            yield held
        while piece := self._next(_PIECE):
            yield piece

    def _next(self, size: int) -> bytes:
        with compression.errors(self._encoding):
            piece = self._reader.read(size)
        self._read += len(piece)
        if self._read > self._limit:
            raise _too_large(self._limit)
        return piece

    def close(self) -> None:
        """Let the spool go."""
        self._file.close()

    def __enter__(self) -> Body:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def empty() -> Body:
    """A body of no bytes."""
    return Body(io.BytesIO(), "", 0)


async def receive(stream: AsyncIterable[bytes], encoding: str, spool: Path, limits: Limits) -> Body:
    """Take in a whole body: small ones stay in memory, larger ones go to an unlinked file in `spool`."""
    file = _spool(limits.spool_bytes, spool)
    received = 0
    try:
        async for piece in stream:
            received += len(piece)
            if received > limits.body_bytes:
                raise _too_large(limits.body_bytes)
            file.write(piece)
        return Body(file, encoding, limits.body_bytes)
    except BaseException:
        file.close()
        raise


def _spool(size: int, directory: Path) -> IO[bytes]:
    # The Body that takes it closes it.
    return cast("IO[bytes]", tempfile.SpooledTemporaryFile(max_size=size, dir=str(directory)))


def _too_large(limit: int) -> ClickHouseError:
    return ClickHouseError(
        307, f"Limit for the request body exceeded: more than {limit} bytes; send less at once"
    )
