"""The SQL of docs/history.md: how loss and duplicates are counted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from stream.sink.collect import collect
from stream.sink.recent import Recent
from stream.sink.writer import Writer
from tests.stream.sink.build import RESOURCE, logs, record, step

DOCUMENT = Path(__file__).parents[3] / "docs" / "history.md"


@pytest.fixture(scope="module")
def queries() -> list[str]:
    _, _, about = DOCUMENT.read_text("utf-8").partition("## Exactly once")
    (block,) = re.findall(r"```sql\n(.*?)```", about, re.DOTALL)
    return [query for query in block.split(";") if query.strip()]


def store(url: str, token: str, offset: int, *seqs: int) -> None:
    """Insert steps as a sink without memory does; the last record is a log line."""
    line = {"body": "x", "attributes": {"train.seq": max(seqs) + 1}}
    sent = record(logs(*(step(seq) for seq in seqs), line, resource=RESOURCE), offset=offset)
    for table, content in collect([sent], Recent()).arrow().items():
        Writer(url).insert(table, content, token)


def test_duplicates_and_gaps_are_counted(history_url: str, database: Client, queries: list[str]) -> None:
    """One record stored twice, one resent, two lost: each query finds its own."""
    twice, resent, missing = queries
    store(history_url, "a", 7, 0, 1)
    for query in queries:
        assert database.query(query).result_rows == []

    store(history_url, "b", 7, 0, 1)
    assert database.query(twice).result_rows == [("run-1", 2)]
    assert database.query(resent).result_rows == []

    store(history_url, "c", 9, 1)
    ((emitter, seq, places),) = database.query(resent).result_rows
    assert (emitter, seq, sorted(places)) == ("e3", 1, [(1, 7), (1, 9)])

    store(history_url, "d", 11, 5)
    assert database.query(missing).result_rows == [("e3", 2)]
