"""Whether a record of a partition is the next one, seen before, after a gap, or from a log begun anew.

State kept in memory for a partition is only right while its records came without a gap: after the
partition was with another worker for a while, or an embedded broker lost its messages and began at
offset 0 again, the state must be made afresh.
"""

from __future__ import annotations

from enum import Enum

from stream.records import Incoming


class Place(Enum):
    """Where a record stands among those already processed."""

    NEXT = "next"
    REPEATED = "repeated"
    AFTER_GAP = "after a gap"
    NEW_LOG = "in a new log"


class Progress:
    """The position in one partition of one topic."""

    def __init__(self, next_offset: int | None = None, newest_ms: int = 0) -> None:
        """``next_offset``: where processing goes on; ``newest_ms``: the newest time of what is before it."""
        self._next = next_offset
        self._newest_ms = newest_ms

    @property
    def newest_ms(self) -> int:
        """The newest time of a record that was processed."""
        return self._newest_ms

    def judge(self, record: Incoming) -> Place | None:
        """Say where this record stands without counting it; None where nothing was processed yet."""
        return None if self._next is None else self._judge(record)

    def place(self, record: Incoming) -> Place:
        """Say where this record stands, and count it as processed unless it is repeated."""
        place = self._judge(record)
        if place is not Place.REPEATED:
            self._next = record.offset + 1
            fresh = place is Place.NEW_LOG
            self._newest_ms = record.timestamp_ms if fresh else max(self._newest_ms, record.timestamp_ms)
        return place

    def _judge(self, record: Incoming) -> Place:
        if self._next is None or record.offset == self._next:
            return Place.NEXT
        if record.offset > self._next:
            return Place.AFTER_GAP
        # What was read before is not newer than the newest that was read.
        return Place.REPEATED if record.timestamp_ms <= self._newest_ms else Place.NEW_LOG
