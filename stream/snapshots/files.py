"""Snapshots as files: for the embedded broker, which keeps all that it is told in memory, and one machine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from stream.snapshots.form import Head, SnapshotFormError, decode_head, encode_head
from stream.snapshots.shelf import Stored

_SIZE: Final = 8


class FileShelf:
    """One file a partition; a new one takes its place when it is whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._part = folder / f"{os.getpid()}.part"

    async def put(self, partition: int, id: str, number: int, chunk: bytes) -> None:
        """Append the chunk to the file in the making. Raises OSError."""
        await asyncio.to_thread(self._append, chunk, number == 0)

    async def finish(self, partition: int, head: Head) -> None:
        """Append the head, and let the file take the place of the last one. Raises OSError."""
        encoded = encode_head(head)
        await asyncio.to_thread(self._append, encoded, head.chunks == 0, last=True)
        self._part.replace(self._path(partition))

    async def newest(self, partition: int) -> AsyncIterator[Stored]:
        """The snapshot of this partition, if there is one. Raises OSError, SnapshotFormError."""
        path = self._path(partition)
        if path.exists():
            yield _read(await asyncio.to_thread(path.read_bytes))

    def _path(self, partition: int) -> Path:
        return self._folder / f"{partition}.snapshot"

    def _append(self, content: bytes, begin: bool, last: bool = False) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        if begin:
            self._sweep()
        size = len(content).to_bytes(_SIZE, "big")
        with self._part.open("wb" if begin else "ab") as file:
            file.write(content + size if last else size + content)

    def _sweep(self) -> None:
        """Take away what workers left that were killed while they wrote."""
        for left in self._folder.glob("*.part"):
            if left.stem.isdigit() and not Path(f"/proc/{left.stem}").exists():
                left.unlink(missing_ok=True)


def _read(content: bytes) -> Stored:
    size = int.from_bytes(content[-_SIZE:], "big")
    end = len(content) - _SIZE - size
    if end < 0 or len(content) < _SIZE:
        raise SnapshotFormError(f"{len(content)} bytes are no snapshot")
    head = decode_head(content[end : end + size])
    chunks, start = [], 0
    while start < end:
        begin = start + _SIZE
        start = begin + int.from_bytes(content[start:begin], "big")
        chunks.append(content[begin : min(start, end)])
    return Stored(head, chunks)
