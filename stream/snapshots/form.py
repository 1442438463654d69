"""The form of a snapshot: pieces in compressed chunks, and a head that says whether all of them are there.

A snapshot is taken while records go on being read, one run after the other, so no pause is longer than one
run takes. The head holds the engine without its runs after record ``first``; each piece says after which
record its run was taken. Who takes over replays from ``first`` on; each run joins at its own record.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from stream.records import Incoming

VERSION: Final = 1
CHUNK_BYTES: Final = 512 * 1024
"""Of a chunk before it is compressed; a longer piece is cut."""
LARGEST_CHUNK: Final = 2 * CHUNK_BYTES
_LEVEL: Final = 1
_DIGEST: Final = 16
_SIZE: Final = 8


class SnapshotFormError(ValueError):
    """The bytes are no snapshot that can be used; the message says why."""


class Head(msgspec.Struct, frozen=True):
    """What stands above the pieces.

    ``first``: the record of ``train.events`` after which the ``engine`` was taken; ``last``: the newest after
    which a run was. Everything up to ``last`` was published before this head was written. ``witness``: the
    digest of record ``first``, by which another life of the topic is known; ``newest_ms``: see
    stream.progress. ``chunks``, ``digest``: how many there are, and over all of them.
    """

    version: int
    id: str
    first: int
    last: int
    witness: bytes
    newest_ms: int
    engine: bytes
    chunks: int
    digest: bytes


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """A run after record ``offset``; the one without a run holds the rules in force, as a bundle."""

    run: str
    offset: int
    state: bytes


@dataclass(frozen=True)
class Snapshot:
    """A whole snapshot: its head, the bundle of the rules it was taken under, and its runs."""

    head: Head
    rules: bytes
    runs: Sequence[Piece]


def witness(record: Incoming) -> bytes:
    """What tells this record from one with the same offset in another life of its topic."""
    digest = hashlib.blake2b(record.value, digest_size=_DIGEST)
    digest.update(record.timestamp_ms.to_bytes(8, "big", signed=True))
    return digest.digest()


class Packer:
    """Cuts pieces into chunks. ``chunks`` counts those that were given out, ``digest`` is over them."""

    def __init__(self) -> None:
        self.chunks = 0
        self._buffer = bytearray()
        self._digest = hashlib.blake2b(digest_size=_DIGEST)

    def add(self, piece: Piece) -> Iterator[bytes]:
        """The chunks that are full now, not compressed yet."""
        encoded = msgspec.msgpack.encode(piece)
        self._buffer += len(encoded).to_bytes(_SIZE, "big") + encoded
        while len(self._buffer) >= CHUNK_BYTES:
            yield bytes(self._buffer[:CHUNK_BYTES])
            del self._buffer[:CHUNK_BYTES]

    def rest(self) -> Iterator[bytes]:
        """The last chunk, if there is something left."""
        if self._buffer:
            yield bytes(self._buffer)
            self._buffer.clear()

    def count(self, packed: bytes) -> int:
        """The number of this compressed chunk; each is counted once, in order."""
        self._digest.update(packed)
        self.chunks += 1
        return self.chunks - 1

    @property
    def digest(self) -> bytes:
        """Over all compressed chunks so far."""
        return self._digest.digest()


def pack(chunk: bytes) -> bytes:
    """The chunk as it is stored."""
    return zlib.compress(chunk, _LEVEL)


def encode_head(head: Head) -> bytes:
    """The head with a checksum before it."""
    payload = msgspec.msgpack.encode(head)
    return hashlib.blake2b(payload, digest_size=_DIGEST).digest() + payload


def decode_head(data: bytes) -> Head:
    """The head in these bytes. Raises SnapshotFormError."""
    payload = data[_DIGEST:]
    if hashlib.blake2b(payload, digest_size=_DIGEST).digest() != data[:_DIGEST]:
        raise SnapshotFormError("its head is damaged: the checksum does not fit")
    try:
        version = msgspec.msgpack.decode(payload)["version"]
        if version != VERSION:
            raise SnapshotFormError(f"it is of version {version}, expected {VERSION}")
        return msgspec.msgpack.decode(payload, type=Head)
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise SnapshotFormError(f"its head cannot be read: {error}") from None


def assemble(head: Head, chunks: Sequence[bytes]) -> Snapshot:
    """The snapshot of these chunks. Raises SnapshotFormError unless they are all there and whole."""
    digest = hashlib.blake2b(digest_size=_DIGEST)
    for chunk in chunks:
        digest.update(chunk)
    if len(chunks) != head.chunks or digest.digest() != head.digest:
        raise SnapshotFormError(
            f"it is cut off or damaged: expected {head.chunks} chunks with the head's checksum, "
            f"got {len(chunks)}"
        )
    pieces = list(_pieces(b"".join(_unpacked(chunk) for chunk in chunks)))
    if not pieces or pieces[0].run:
        raise SnapshotFormError("it holds no rules")
    return Snapshot(head, pieces[0].state, pieces[1:])


def _unpacked(chunk: bytes) -> bytes:
    try:
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(chunk, LARGEST_CHUNK)
    except zlib.error as error:
        raise SnapshotFormError(f"a chunk cannot be unpacked: {error}") from None
    if unpacker.unconsumed_tail:
        raise SnapshotFormError(f"a chunk holds more than {LARGEST_CHUNK:,} bytes")
    return content


def _pieces(content: bytes) -> Iterator[Piece]:
    view, start = memoryview(content), 0
    while start < len(view):
        begin = start + _SIZE
        start = begin + int.from_bytes(view[start:begin], "big")
        try:
            yield msgspec.msgpack.decode(view[begin:start], type=Piece)
        except msgspec.MsgspecError as error:
            raise SnapshotFormError(f"a piece cannot be read: {error}") from None
