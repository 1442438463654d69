"""Snapshots: the state of an engine as bytes that say what they are and whether they are whole."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from stream.rulelang.numbers import as_float

VERSION: Final = 2
_MAGIC: Final = b"trainwarden engine "
_DIGEST: Final = 16
_LARGEST: Final = 2**63


class SnapshotError(ValueError):
    """The bytes are not a snapshot that this version can read; the message says why."""


def encode(state: dict[str, Any]) -> bytes:
    """Header, checksum and msgpack of plain data, in its order."""
    try:
        payload = msgspec.msgpack.encode(state)
    except (OverflowError, UnicodeEncodeError):
        payload = msgspec.msgpack.encode(_cleaned(msgspec.to_builtins(state)))
    return _MAGIC + bytes([VERSION]) + _digest(payload) + payload


def decode(data: bytes) -> dict[str, Any]:
    """The state in these bytes. Raises SnapshotError."""
    size = len(_MAGIC)
    if not data or not data.startswith(_MAGIC[: len(data)]):
        raise SnapshotError(
            f"expected a snapshot of Engine.snapshot(), got {len(data)} bytes of something else"
        )
    if len(data) > size and data[size] != VERSION:
        raise SnapshotError(
            f"expected a snapshot of version {VERSION}, got version {data[size]}: replay train.events instead"
        )
    digest, payload = data[size + 1 : size + 1 + _DIGEST], data[size + 1 + _DIGEST :]
    if not payload or digest != _digest(payload):
        raise SnapshotError(
            f"the snapshot of {len(data)} bytes is cut off or damaged: its checksum does not fit; "
            "take an older one, or replay train.events"
        )
    state: dict[str, Any] = msgspec.msgpack.decode(payload)
    return state


def _digest(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=_DIGEST).digest()


def _cleaned(value: Any) -> Any:
    """The same without what msgpack has no room for: huge integers and halves of surrogate pairs."""
    if isinstance(value, dict):
        return {_cleaned(key): _cleaned(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cleaned(one) for one in value]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        return as_float(value)
    return value
