"""Content codings, both ways."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect
import lz4.frame
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from stream.clickhouse import compression
from tests.stream.clickhouse.talk import code, create, post
from tests.stream.clickhouse.test_http import name

__all__ = ["name"]

CODINGS: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "gzip": (gzip.compress, gzip.decompress),
    "deflate": (zlib.compress, zlib.decompress),
    "zstd": (zstandard.compress, lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data)),
    "lz4": (lz4.frame.compress, lz4.frame.decompress),
    "xz": (lzma.compress, lzma.decompress),
    "bz2": (bz2.compress, bz2.decompress),
}
FRAMED = ("gzip", "zstd", "lz4", "xz", "bz2")
QUERY = "SELECT number, toString(number) FROM numbers({count})"


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("count", [1, 400_000])
def test_answers(clickhouse_url: str, coding: str, count: int) -> None:
    """Small and streamed answers come in the coding asked for and hold the same bytes."""
    asked = QUERY.format(count=count)
    plain = post(clickhouse_url, asked)
    packed = post(clickhouse_url, asked, {"Accept-Encoding": coding}, enable_http_compression="1")
    assert packed.headers["content-encoding"] == coding
    assert CODINGS[coding][1](packed.body) == plain.body
    refused = post(clickhouse_url, "SELECT 1", {"Accept-Encoding": coding}, enable_http_compression="0")
    assert (refused.headers.get("content-encoding"), refused.body) == (None, b"1\n")


@pytest.mark.parametrize("coding", CODINGS)
def test_requests(clickhouse_url: str, name: str, coding: str) -> None:
    """Inserts and queries may come compressed; several frames in a row too."""
    create(clickhouse_url, name)
    pack = CODINGS[coding][0]
    rows = [f"{n},x\n".encode() * 1000 for n in range(2)]
    data = pack(rows[0]) + pack(rows[1]) if coding in FRAMED else pack(b"".join(rows))
    answer = post(clickhouse_url, data, {"Content-Encoding": coding}, query=f"INSERT INTO {name} FORMAT CSV")
    assert answer.status == 200, answer.body
    asked = post(
        clickhouse_url, pack(f"SELECT count(), sum(a) FROM {name}".encode()), {"Content-Encoding": coding}
    )
    assert asked.body == b"2000\t1000\n"


@pytest.mark.parametrize("coding", CODINGS)
def test_broken_requests(clickhouse_url: str, name: str, coding: str) -> None:
    """A body that is cut off or not in its coding is error 271, and nothing is stored."""
    create(clickhouse_url, name)
    whole = CODINGS[coding][0](b"".join(f"{n},{n * n}\n".encode() for n in range(20_000)))
    for data in (whole[: len(whole) // 2], b"not compressed at all"):
        answer = post(
            clickhouse_url, data, {"Content-Encoding": coding}, query=f"INSERT INTO {name} FORMAT CSV"
        )
        assert code(answer) == "271", answer.body
        assert b"Cannot decompress the request body as" in answer.body
    assert post(clickhouse_url, f"SELECT count() FROM {name}").body == b"0\n"


def test_unknown_coding(clickhouse_url: str) -> None:
    """A coding nobody here knows is error 48 and names the known ones."""
    answer = post(clickhouse_url, b"x", {"Content-Encoding": "br"}, query="SELECT 1")
    assert answer.status == 501
    assert b"Unknown Content-Encoding 'br': expected one of zstd, lz4, gzip, deflate, xz, bz2" in answer.body


@given(pieces=st.lists(st.binary(max_size=200), max_size=5), coding=st.sampled_from(list(CODINGS)))
def test_compressors(pieces: list[bytes], coding: str) -> None:
    """Whatever goes through a compressor in pieces comes out of the peer's decompressor."""
    packer = compression.compressor(coding)
    packed = b"".join([*(packer.compress(piece) for piece in pieces), packer.flush()])
    assert CODINGS[coding][1](packed) == b"".join(pieces)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", None),
        ("identity", None),
        ("gzip, deflate, br, zstd, lz4", "zstd"),
        ("lz4,zstd;q=0", "lz4"),
        ("gzip;q=0.5, br", "gzip"),
        ("br", None),
    ],
)
def test_choice(accept: str, expected: str | None) -> None:
    """The fastest coding that the client takes."""
    assert compression.chosen(accept) == expected


@pytest.mark.parametrize("compress", [True, False, "lz4", "zstd", "gzip"])
def test_the_client_negotiates(clickhouse_url: str, name: str, compress: Any) -> None:
    """clickhouse-connect inserts and reads with each of its codings."""
    parts = urlsplit(clickhouse_url)
    create(clickhouse_url, name)
    with clickhouse_connect.get_client(host=parts.hostname, port=parts.port, compress=compress) as client:
        client.insert(name, [[n, "x" * 50] for n in range(1000)], column_names=["a", "s"])
        assert client.query(f"SELECT count(), sum(length(s)) FROM {name}").result_rows == [(1000, 50_000)]
