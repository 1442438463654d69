"""Taking a snapshot of a partition while its records go on being read."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from stream.diagnose.partition import Partition
from stream.snapshots import form
from stream.snapshots.form import Head, Packer, Piece


class Taking:
    """One snapshot in the making; ``partition`` has taken at least one record.

    Between ``next`` calls any number of records may be taken, also such that bring other rules.
    """

    def __init__(self, partition: Partition) -> None:
        self.id = uuid.uuid4().hex
        self.packer = Packer()
        self._partition = partition
        newest = partition.newest
        if newest is None:
            raise ValueError("nothing was read yet")
        self._first, self._witness = newest.offset, form.witness(newest)
        self._engine = partition.engine.snapshot(runs=False)
        self._left = iter([Piece("", newest.offset, partition.rules)])
        self._runs = iter(list(partition.engine.runs))

    def next(self) -> Iterator[bytes] | None:
        """Chunks that one more piece has filled, not compressed yet; None after the last."""
        piece = next(self._left, None) or self._run()
        if piece is None:
            return None
        return self.packer.add(piece)

    def _run(self) -> Piece | None:
        for run in self._runs:
            state = self._partition.engine.snapshot_run(run)
            if state is not None:
                return Piece(run, self._offset, state)
        return None

    @property
    def _offset(self) -> int:
        newest = self._partition.newest
        return self._first if newest is None else newest.offset

    def head(self) -> Head:
        """The head, to be written once all that was made of the records up to ``last`` is on the broker."""
        return Head(
            version=form.VERSION,
            id=self.id,
            first=self._first,
            last=self._offset,
            witness=self._witness,
            newest_ms=self._partition.progress.newest_ms,
            engine=self._engine,
            chunks=self.packer.chunks,
            digest=self.packer.digest,
        )
