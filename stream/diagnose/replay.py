"""From a snapshot, and the records after it, to a partition that goes on as if nothing had happened."""

from __future__ import annotations

import logging

from emitter.vocabulary.diagnoses import Diagnosis
from stream import events
from stream.diagnose.engine import Engine
from stream.diagnose.partition import Partition, loaded
from stream.diagnose.snapshot import SnapshotError
from stream.progress import Progress
from stream.records import BadRecordError, Incoming
from stream.snapshots import form
from stream.snapshots.form import Snapshot

log = logging.getLogger(__name__)


class ReplayError(ValueError):
    """This snapshot does not go with these records, or with this version; the message says why."""


class Replay:
    """What the records make is thrown away: it was published before they were acknowledged."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Raises ReplayError."""
        self._head = head = snapshot.head
        try:
            engine = Engine.restore(loaded(snapshot.rules, "of the snapshot"), head.engine)
        except (SnapshotError, BadRecordError) as error:
            raise ReplayError(str(error)) from None
        except (KeyError, TypeError, ValueError) as error:
            raise ReplayError(f"its engine cannot be restored: {type(error).__name__}: {error}") from error
        self._partition = Partition(snapshot.rules, engine)
        self._waiting = {piece.run: piece for piece in sorted(snapshot.runs, key=lambda one: one.offset)}
        self._gone: list[Diagnosis] = []
        self._witnessed = False
        self._newest_ms = head.newest_ms

    def take(self, record: Incoming) -> None:
        """One record, from ``head.first`` on and in order. Raises ReplayError."""
        if not self._witnessed:
            self._witness(record)
            return
        self._join(record.offset)
        self._partition.newest = record
        self._newest_ms = max(self._newest_ms, record.timestamp_ms)
        try:
            message = events.decode(record.value)
            if isinstance(message, events.Batch) and message.run in self._waiting:
                return
            self._partition.hear(message)
        except Exception as error:  # noqa: BLE001 - it was set aside when it was new
            log.debug("train.events@%d: skipped: %s", record.offset, error)

    def done(self, offset: int) -> Partition:
        """The partition, which goes on at ``offset``. Raises ReplayError."""
        if not self._witnessed:
            raise ReplayError(f"train.events does not reach to record {self._head.first}")
        self._join(None)
        partition = self._partition
        partition.engine.say(self._gone)
        partition.progress = Progress(offset, self._newest_ms)
        return partition

    def _witness(self, record: Incoming) -> None:
        if record.offset != self._head.first or form.witness(record) != self._head.witness:
            raise ReplayError(
                f"record {self._head.first} of train.events is gone or another one now: "
                "the topic has begun a new life, or did not keep it"
            )
        self._witnessed = True
        self._partition.newest = record

    def _join(self, offset: int | None) -> None:
        """Runs that were taken before this record go on with it."""
        for run, piece in list(self._waiting.items()):
            if offset is not None and piece.offset >= offset:
                return
            del self._waiting[run]
            try:
                self._gone += self._partition.engine.adopt(piece.state)
            except Exception as error:  # whatever is in it: a longer replay is always possible
                raise ReplayError(f"run {run} cannot be restored: {type(error).__name__}: {error}") from error
