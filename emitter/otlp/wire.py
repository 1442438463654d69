"""Protobuf's wire format, as far as OTLP needs it: https://protobuf.dev/programming-guides/encoding/

Tags are written as bytes (field number << 3 | wire type), so that a message is put together by joining.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

DOUBLE: Final = struct.Struct("<d")
_DOUBLE: Final = DOUBLE.pack
_ONE_BYTE: Final = tuple(bytes((value,)) for value in range(128))
_SHORT: Final = 100
"""Characters and bytes: longer names and values are too many to be remembered."""

_ONE_BYTE_MORE: Final = tuple(bytes((value | 128,)) for value in range(128))
_UNSIGNED: Final = (1 << 64) - 1


def varint(value: int) -> bytes:
    """A number of 64 bits; negative ones as two's complement, as protobuf's int64 has it."""
    if 0 <= value < 128:
        return _ONE_BYTE[value]
    if 0 <= value < 16384:
        return _ONE_BYTE_MORE[value & 127] + _ONE_BYTE[value >> 7]
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


@lru_cache(maxsize=4096)
def _head(tag: bytes, name: str, size: int) -> bytes:
    """A KeyValue up to its AnyValue of ``size`` bytes, for names that come again and again."""
    key = string(b"\n", name)
    value = b"\x12" + varint(size)
    return tag + varint(len(key) + len(value) + size) + key + value


def attributes(tag: bytes, values: Mapping[str, object]) -> bytes:
    """KeyValues with bools, ints of 64 bits, floats and strs under ``tag``. ``ValueError`` for others."""
    parts = []
    for name, value in values.items():
        kind = type(value)
        if kind is float:
            any_value = b"!" + _DOUBLE(value)
        elif kind is int:
            any_value = b"\x18" + varint(value)  # type: ignore[arg-type]
        else:
            any_value = _other(value)
        size = len(any_value)
        if len(name) < _SHORT and size < _SHORT:
            parts.append(_head(tag, name, size))
            parts.append(any_value)
        else:
            parts.append(block(tag, string(b"\n", name) + block(b"\x12", any_value)))
    return b"".join(parts)


def _other(value: object) -> bytes:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, float):
        return b"!" + _DOUBLE(value)
    if isinstance(value, int):
        return b"\x18" + varint(value)
    raise ValueError(f"expected a bool, int, float or str, got {type(value).__name__}")


def text(value: str) -> bytes:
    """An AnyValue that holds a string."""
    return string(b"\n", value)
