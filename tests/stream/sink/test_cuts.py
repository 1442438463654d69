"""Where batches end."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from stream.sink.cuts import Batch, Limits
from stream.sink.records import Record
from tests.stream.sink.build import T0

LIMITS = Limits(batch_bytes=1_000)


def cut(records: list[Record]) -> list[list[int]]:
    """The offsets of each batch, by the rule of the records alone."""
    batches: list[Batch] = []
    for record in records:
        if not batches or not batches[-1].takes(record):
            batches.append(Batch("t", 0, LIMITS, opened=0.0))
        batches[-1].add(record, now=0.0)
    return [[record.offset for record in batch.records] for batch in batches]


def at(offset: int, milliseconds: int, size: int = 0) -> Record:
    return Record("t", 0, offset, T0 + milliseconds * 1_000_000, b"x" * size)


def test_a_batch_ends_with_its_span_of_time() -> None:
    """Half seconds of Kafka's timestamps; an older timestamp stays in the batch."""
    assert cut([at(0, 0), at(1, 499), at(2, 100), at(3, 500), at(4, 400)]) == [[0, 1, 2], [3, 4]]


def test_a_batch_ends_when_it_is_full() -> None:
    """Bytes are counted with what each record costs besides; a huge record is a batch alone."""
    assert cut([at(0, 0, 300), at(1, 0, 300), at(2, 0, 300), at(3, 0, 5_000)]) == [[0, 1], [2], [3]]


@given(st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 600)), max_size=30), st.data())
def test_reading_again_from_a_cut_gives_the_same_cuts(
    sizes: list[tuple[int, int]], data: st.DataObject
) -> None:
    """After a crash the batches are those that were made before it."""
    records = [at(offset, *each) for offset, each in enumerate(sizes)]
    batches = cut(records)
    again = data.draw(st.integers(0, max(0, len(batches) - 1)))

    start = sum(len(batch) for batch in batches[:again])

    assert cut(records[start:]) == batches[again:]


def test_our_clock_closes_a_batch_when_its_span_is_over_and_nothing_comes() -> None:
    """Span over and quiet; at the latest after ``longest_s``, whatever the other clock says."""
    batch = Batch("t", 0, Limits(), opened=100.0)
    batch.add(at(0, 100), now=100.0)

    assert round(batch.due_in(100.0, T0 + 100_000_000), 6) == 0.6
    assert batch.due_in(100.6, T0 + 700_000_000) <= 0
    assert round(batch.due_in(100.0, T0 - 3_600_000_000_000), 6) == 3.0
    assert round(batch.due_in(100.0, T0 + 3_600_000_000_000), 6) == 0.2


def test_a_token_is_the_same_for_the_same_records_only() -> None:
    """Offsets alone do not do: an embedded broker starts again at 0."""
    batch, same, later, other, elsewhere = (Batch("t", n // 4, LIMITS, 0.0) for n in range(5))
    for record in (at(0, 0), at(1, 1)):
        batch.add(record, 0.0)
        same.add(record, 1.0)
        later.add(replace(record, time=record.time + 1_000_000), 0.0)
        other.add(replace(record, value=b"y"), 0.0)
        elsewhere.add(record, 0.0)

    assert batch.token == same.token
    assert batch.token not in (later.token, other.token, elsewhere.token)
