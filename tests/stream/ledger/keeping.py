"""Puts records into a real history, by the very code of the sink."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import count

from stream.records import Outgoing
from stream.sink.collect import collect
from stream.sink.recent import Recent
from stream.sink.records import Record
from stream.sink.writer import Writer

_offsets = count()


def keep(clickhouse: str, records: Sequence[Outgoing]) -> None:
    """As the sink would, one insert for each table."""
    rows = collect(
        (Record(one.topic, 0, next(_offsets), time.time_ns(), one.value) for one in records), Recent()
    )
    assert not rows.bad
    writer = Writer(clickhouse)
    for table, found in rows.arrow().items():
        writer.insert(table, found, f"{table}-{next(_offsets)}")
    writer.close()
