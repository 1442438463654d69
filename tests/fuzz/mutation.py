"""Bytes that are nearly right: pieces of real ones, changed, cut, doubled and put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

_EDGES: Final = (
    b"", b"\x00", b"\xff", b"\x7f", b"\x80", b"\n", b"{", b"}", b"[", b"]", b'"', b"\\u0000", b"\xed\xa0\x80",
    b"\xff" * 9 + b"\x01", b"\x80" * 9 + b"\x01", b"\xff\xff\xff\xff\x0f", b"\x0a\x00", b"\x1f\x8b\x08",
    b"(\xb5/\xfd", b"\x00" * 8, b"\xff" * 8, (0x7FF8 << 48).to_bytes(8, "little"), b"1e999", b"-0", b"null",
    b"NaN", b"18446744073709551616", b"9" * 400, b"'", b"--", b"%00", b"\r\n", b"\r\n\r\n", b"\xe2\x80\xa8",
    b"\x0b", b"\x0c", b"\x7b\x7c", b"\x7b\x70\x05\x7c", b"x" * 300,
)  # fmt: skip
"""Pieces at which readers stumble."""

_MOST_BYTES: Final = 20_000

Change = Callable[[Random, bytes, Sequence[bytes]], bytes]


def mutated(numbers: Random, seeds: Sequence[bytes], edges: Sequence[bytes] = _EDGES) -> bytes:
    """One of the seeds with one to eight changes; now and then, random bytes."""
    if numbers.random() < 0.02:
        return numbers.randbytes(numbers.randrange(200))
    data = numbers.choice(seeds)
    for _ in range(min(1 + int(numbers.expovariate(0.7)), 8)):
        change = numbers.choice(_CHANGES)
        data = change(numbers, data, edges if change in (_insert, _replace) else seeds)
    return data[:_MOST_BYTES]


def _flip(numbers: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    if not data:
        return data
    changed = bytearray(data)
    changed[numbers.randrange(len(data))] ^= 1 << numbers.randrange(8)
    return bytes(changed)


def _byte(numbers: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    if not data:
        return data
    at = numbers.randrange(len(data))
    return data[:at] + numbers.randbytes(1) + data[at + 1 :]


def _insert(numbers: Random, data: bytes, edges: Sequence[bytes]) -> bytes:
    at = numbers.randrange(len(data) + 1)
    return data[:at] + numbers.choice(edges) + data[at:]


def _replace(numbers: Random, data: bytes, edges: Sequence[bytes]) -> bytes:
    low, high = _span(numbers, data, 12)
    return data[:low] + numbers.choice(edges) + data[high:]


def _delete(numbers: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    low, high = _span(numbers, data, 40)
    return data[:low] + data[high:]


def _double(numbers: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    low, high = _span(numbers, data, 400)
    return data[:high] + data[low:high] * numbers.choice((1, 1, 1, 2, 30)) + data[high:]


def _cut(numbers: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return data[: numbers.randrange(len(data) + 1)]


def _splice(numbers: Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    low, high = _span(numbers, other := numbers.choice(seeds), 400)
    at = numbers.randrange(len(data) + 1)
    return data[:at] + other[low:high] + data[at:]


def _swap(numbers: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    low, high = _span(numbers, data, 40)
    to = numbers.randrange(len(data) + 1)
    rest = data[:low] + data[high:]
    return rest[:to] + data[low:high] + rest[to:]


def _span(numbers: Random, data: bytes, longest: int) -> tuple[int, int]:
    low = numbers.randrange(len(data) + 1)
    return low, min(len(data), low + numbers.randrange(1, longest))


_CHANGES: Final[tuple[Change, ...]] = (
    _flip, _flip, _byte, _insert, _replace, _delete, _double, _cut, _splice, _swap,
)  # fmt: skip
