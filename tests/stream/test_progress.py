"""Where a record stands in its partition."""

from __future__ import annotations

from stream.progress import Place, Progress
from stream.records import Incoming


def record(offset: int, timestamp_ms: int) -> Incoming:
    return Incoming("train.events", 0, offset, b"", timestamp_ms=timestamp_ms)


def test_records_in_order() -> None:
    """The first may be any; then one after the other."""
    progress = Progress()
    assert [progress.place(record(offset, offset)) for offset in (5, 6, 7)] == [Place.NEXT] * 3


def test_what_was_read_before_is_repeated() -> None:
    """After a rebalance the records since the last commit come again."""
    progress = Progress()
    for offset in range(10):
        progress.place(record(offset, 100 + offset))
    assert [progress.place(record(offset, 100 + offset)) for offset in (7, 8, 9)] == [Place.REPEATED] * 3
    assert progress.place(record(10, 110)) is Place.NEXT


def test_a_gap_is_seen_once() -> None:
    """Another worker had the partition in between."""
    progress = Progress()
    progress.place(record(1, 1))
    assert progress.place(record(5, 5)) is Place.AFTER_GAP
    assert progress.place(record(6, 6)) is Place.NEXT


def test_a_log_that_began_anew_is_no_repetition() -> None:
    """A broker that lost its messages begins at offset 0 with newer records."""
    progress = Progress()
    for offset in range(10):
        progress.place(record(offset, 100 + offset))
    assert progress.place(record(0, 500)) is Place.NEW_LOG
    assert progress.place(record(1, 501)) is Place.NEXT
