"""What a place for snapshots can do. Of each partition at least the last whole one is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from stream.snapshots.form import Head


@dataclass(frozen=True)
class Stored:
    """A head as it was found, and the chunks that go with it, as far as they are there."""

    head: Head
    chunks: Sequence[bytes]


class Shelf(Protocol):
    """One snapshot of a partition is written at a time: its chunks in order, then its head."""

    async def put(self, partition: int, id: str, number: int, chunk: bytes) -> None:
        """Keep one chunk of the snapshot ``id``, beside the last whole one. Raises OSError."""

    async def finish(self, partition: int, head: Head) -> None:
        """All chunks are there: from now on this is the newest one. Raises OSError."""

    def newest(self, partition: int) -> AsyncIterator[Stored]:
        """What is there, newest first, not checked yet. Raises OSError, KafkaError, SnapshotFormError."""
