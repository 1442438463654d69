"""Bodies: decompression within limits, and the budget."""

from __future__ import annotations

import gzip
import random
import zlib

import pytest
import zstandard

from stream.gateway import body
from stream.gateway.errors import BusyError, MalformedError, TooLargeError, UnsupportedError

LIMIT = 100_000
TEXT = b"train.step loss=1.0 " * 500


def _raw_deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return engine.compress(data) + engine.flush()


def _wide() -> bytes:
    """A frame that asks its reader for a window of 128 MiB."""
    settings = zstandard.ZstdCompressionParameters(window_log=27)
    engine = zstandard.ZstdCompressor(compression_params=settings).compressobj()
    return engine.compress(TEXT) + engine.flush()


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (TEXT, ""),
        (TEXT, "identity"),
        (gzip.compress(TEXT, mtime=0), "gzip"),
        (gzip.compress(TEXT, mtime=0), " GZIP "),
        (gzip.compress(TEXT[:7], mtime=0) + gzip.compress(TEXT[7:], mtime=0), "gzip"),
        (zlib.compress(TEXT), "deflate"),
        (_raw_deflate(TEXT), "deflate"),
        (zlib.compress(TEXT), "zlib"),
        (zstandard.compress(TEXT), "zstd"),
        (zstandard.compress(TEXT[:7]) + zstandard.compress(TEXT[7:]), "zstd"),
    ],
)
def test_every_encoding_is_undone(data: bytes, encoding: str) -> None:
    """gzip with one or several members, zlib, bare deflate and plain bodies give the same bytes."""
    assert body.decompress(data, encoding, LIMIT) == TEXT


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_empty_content_may_be_compressed(encoding: str) -> None:
    """An empty request is one, compressed or not."""
    data = {"gzip": gzip.compress(b""), "deflate": zlib.compress(b""), "zstd": zstandard.compress(b"")}
    assert body.decompress(data[encoding], encoding, LIMIT) == b""


def test_exactly_the_limit_is_taken() -> None:
    """The limit itself is allowed, one byte more is not."""
    assert len(body.decompress(gzip.compress(bytes(LIMIT)), "gzip", LIMIT)) == LIMIT
    with pytest.raises(TooLargeError, match="at most 100000 bytes once decompressed, got more"):
        body.decompress(gzip.compress(bytes(LIMIT + 1)), "gzip", LIMIT)
    assert len(body.decompress(zstandard.compress(bytes(LIMIT)), "zstd", LIMIT)) == LIMIT


def test_bombs_stop_at_the_limit() -> None:
    """A small body that grows without end is refused, also when it is made of many members."""
    bomb = gzip.compress(bytes(200 * LIMIT))
    assert len(bomb) < LIMIT
    for data in (bomb, gzip.compress(bytes(LIMIT // 2)) * 3):
        with pytest.raises(TooLargeError, match="once decompressed"):
            body.decompress(data, "gzip", LIMIT)
    for data in (zstandard.compress(bytes(200 * LIMIT)), zstandard.compress(bytes(LIMIT // 2)) * 3):
        with pytest.raises(TooLargeError, match="once decompressed"):
            body.decompress(data, "zstd", LIMIT)


@pytest.mark.parametrize(
    ("data", "encoding", "message"),
    [
        (b"", "gzip", "the compressed data ends early"),
        (gzip.compress(TEXT, mtime=0)[:-5], "gzip", "the compressed data ends early"),
        (TEXT, "gzip", "expected gzip, got bytes that do not decompress"),
        (TEXT, "deflate", "expected deflate, got bytes that do not decompress"),
        (b"", "zstd", "the compressed data ends early"),
        (zstandard.compress(TEXT)[:-5], "zstd", "the compressed data ends early"),
        (zstandard.compress(TEXT) * 2 + b"(\xb5", "zstd", "the compressed data ends early"),
        (TEXT, "zstd", "expected zstd, got bytes that do not decompress"),
        (zstandard.compress(TEXT) + b"tail", "zstd", "expected zstd, got bytes that do not decompress"),
        (_wide(), "zstd", "expected zstd, got bytes that do not decompress"),
        (gzip.compress(TEXT, mtime=0) + b"tail", "gzip", "expected gzip, got bytes that do not decompress"),
    ],
)
def test_damaged_bodies(data: bytes, encoding: str, message: str) -> None:
    """Damage is one error that says what was expected."""
    with pytest.raises(MalformedError, match=f"body: {message}"):
        body.decompress(data, encoding, LIMIT)


def test_unknown_encoding() -> None:
    """An encoding that OTLP/HTTP does not have is refused with those it has."""
    with pytest.raises(
        UnsupportedError, match="expected one of identity, gzip, deflate, zlib, zstd, got 'br'"
    ):
        body.decompress(b"x", "br", LIMIT)


def test_budget_gives_back_what_was_held() -> None:
    """Reservations add up, are refused above the limit, and end with their request."""
    budget = body.Budget(100)
    with budget.reserve() as first:
        first.grow(60)
        with budget.reserve() as second:
            second.grow(40)
            with pytest.raises(BusyError, match="100 of at most 100 bytes are under way"):
                second.grow(1)
        assert budget.used == 60
        first.grow(random.Random(1).randint(1, 40))
    assert budget.used == 0
