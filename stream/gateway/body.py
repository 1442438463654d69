"""Request bodies: read and decompressed within limits, so that no client can exhaust the memory."""

from __future__ import annotations

import asyncio
import zlib
from types import TracebackType
from typing import Final

import zstandard
from aiohttp import web

from stream.gateway.errors import (
    BusyError,
    MalformedError,
    TooLargeError,
    TooSlowError,
    UnsupportedError,
)

READ_TIMEOUT_S: Final = 30.0
ENCODINGS: Final = ("identity", "gzip", "deflate", "zlib", "zstd")
# What RFC 9659 lets a sender of this Content-Encoding ask of us.
# The engine knows no limit for what comes out; of so little, not more than 8 MiB can.
_ZSTD_PART: Final = 256
_ZSTD_WINDOW: Final = 8 * 1024 * 1024


class Budget:
    """Bytes of all requests under way, bounded."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.used = 0

    def reserve(self) -> Reservation:
        """A reservation that gives back everything when it is left."""
        return Reservation(self, self._limit)


class Reservation:
    """The part of a budget that one request holds."""

    def __init__(self, budget: Budget, limit: int) -> None:
        self._budget, self._limit, self._held = budget, limit, 0

    def grow(self, size: int) -> None:
        """Hold this much more. Raises BusyError when the budget is spent."""
        if self._budget.used + size > self._limit:
            raise BusyError(
                f"{self._budget.used} of at most {self._limit} bytes are under way; send again later"
            )
        self._budget.used += size
        self._held += size

    def __enter__(self) -> Reservation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._budget.used -= self._held


async def read(request: web.Request, limit: int, reservation: Reservation) -> bytes:
    """The body as it came. Raises TooLargeError, TooSlowError, BusyError, MalformedError."""
    if (request.content_length or 0) > limit:
        raise TooLargeError(
            f"body: expected at most {limit} bytes, got {request.content_length}; send smaller batches"
        )
    try:
        return await asyncio.wait_for(_read(request, limit, reservation), READ_TIMEOUT_S)
    except asyncio.TimeoutError:
        raise TooSlowError(f"body: expected all of it within {READ_TIMEOUT_S:g} s") from None
    except (ConnectionError, web.PayloadAccessError) as error:
        raise MalformedError(f"body: it ended early: {error}") from None


async def _read(request: web.Request, limit: int, reservation: Reservation) -> bytes:
    parts, size = [], 0
    async for part in request.content.iter_any():
        size += len(part)
        if size > limit:
            raise TooLargeError(f"body: expected at most {limit} bytes, got more; send smaller batches")
        reservation.grow(len(part))
        parts.append(part)
    return b"".join(parts)


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its Content-Encoding. Raises UnsupportedError, MalformedError, TooLargeError."""
    encoding = encoding.strip().lower() or "identity"
    if encoding == "identity":
        return body
    if encoding not in ENCODINGS:
        raise UnsupportedError(f"Content-Encoding: expected one of {', '.join(ENCODINGS)}, got {encoding!r}")
    if encoding == "zstd":
        return _unzstd(body, limit)
    try:
        return _inflate(body, _window_bits(body, encoding), limit)
    except zlib.error as error:
        raise MalformedError(
            f"body: expected {encoding}, got bytes that do not decompress: {error}"
        ) from None


def _unzstd(body: bytes, limit: int) -> bytes:
    parts, size, start = [], 0, 0
    decoder = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    engine = decoder.decompressobj()
    while start < len(body):
        if engine.eof:
            engine = decoder.decompressobj()
        taken = body[start : start + _ZSTD_PART]
        try:
            part = engine.decompress(taken)
        except zstandard.ZstdError as error:
            raise MalformedError(f"body: expected zstd, got bytes that do not decompress: {error}") from None
        start += len(taken) - len(engine.unused_data)
        parts.append(part)
        size += len(part)
        if size > limit:
            raise TooLargeError(f"body: expected at most {limit} bytes once decompressed, got more")
    if not engine.eof:
        raise MalformedError("body: the compressed data ends early")
    return b"".join(parts)


def _window_bits(body: bytes, encoding: str) -> int:
    if encoding == "gzip":
        return 16 + zlib.MAX_WBITS
    # "deflate" means zlib, but some clients send the bare stream.
    zlib_header = len(body) > 1 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    return zlib.MAX_WBITS if zlib_header else -zlib.MAX_WBITS


def _inflate(body: bytes, window_bits: int, limit: int) -> bytes:
    parts, size, rest = [], 0, body
    while True:
        engine = zlib.decompressobj(window_bits)
        part = engine.decompress(rest, limit - size + 1)
        size += len(part)
        if size > limit:
            raise TooLargeError(f"body: expected at most {limit} bytes once decompressed, got more")
        parts.append(part)
        if not engine.eof:
            raise MalformedError("body: the compressed data ends early")
        rest = engine.unused_data
        # gzip may have several members; anything else behind the end is an error of its own.
        if not rest:
            return b"".join(parts)
