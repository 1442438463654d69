"""Protobuf's wire format, as far as OTLP needs it: https://protobuf.dev/programming-guides/encoding/

Tags are written as bytes (field number << 3 | wire type), so that a message is put together by joining.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Final

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

DOUBLE: Final = struct.Struct("<d")
_ONE_BYTE: Final = tuple(bytes((value,)) for value in range(128))
_SHORT: Final = 200
_UNSIGNED: Final = (1 << 64) - 1


def varint(value: int) -> bytes:
    """A number of 64 bits; negative ones as two's complement, as protobuf's int64 has it."""
    if 0 <= value < 128:
        return _ONE_BYTE[value]
    value &= _UNSIGNED
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)


def block(tag: bytes, content: bytes) -> bytes:
    """A field with a length: a string, bytes or a message."""
    return tag + varint(len(content)) + content


def string(tag: bytes, value: str) -> bytes:
    """A string field; lone surrogates become ``?``."""
    return block(tag, value.encode("utf-8", "replace"))


@lru_cache(maxsize=2048)
def _known_key(name: str) -> bytes:
    return string(b"\n", name)


def _key(name: str) -> bytes:
    return _known_key(name) if len(name) <= _SHORT else string(b"\n", name)


def attribute(tag: bytes, name: str, value: object) -> bytes:
    """A KeyValue with a bool, int of 64 bits, float or str under ``tag``. ``ValueError`` for others."""
    return block(tag, _key(name) + block(b"\x12", _any_value(value)))


def _any_value(value: object) -> bytes:
    if isinstance(value, float):
        return b"!" + DOUBLE.pack(value)
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int):
        return b"\x18" + varint(value)
    if isinstance(value, str):
        return text(value)
    raise ValueError(f"expected a bool, int, float or str, got {type(value).__name__}")


def text(value: str) -> bytes:
    """An AnyValue that holds a string."""
    return string(b"\n", value)
