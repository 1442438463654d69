"""Inserts that the storage refuses, and what is left of them."""

from __future__ import annotations

import pytest

from stream.clickhouse.engine import insert_from_file
from tests.fixtures_clickhouse import Endpoint
from tests.stream.clickhouse.talk import code, post


@pytest.mark.parametrize(
    ("table", "rows", "error"),
    [
        ("(a Int32, CONSTRAINT small CHECK a < 10) ENGINE = MergeTree ORDER BY a", "1\n50\n", "469"),
        ("(a Int32) ENGINE = MergeTree PARTITION BY a ORDER BY a", "\n".join(map(str, range(200))), "252"),
        ("(a Int32) ENGINE = MergeTree ORDER BY a", "1\nx\n", "27"),
    ],
    ids=["constraint", "partitions", "text"],
)
def test_a_refused_block_is_an_error(clickhouse: Endpoint, table: str, rows: str, error: str) -> None:
    """The client gets ClickHouse's code, no row is stored, and nothing stays in the spool."""
    post(clickhouse.url, "DROP TABLE IF EXISTS refused")
    assert post(clickhouse.url, f"CREATE TABLE refused {table}").status == 200

    answer = post(clickhouse.url, rows, query="INSERT INTO refused FORMAT TSV")

    assert code(answer) == error
    assert post(clickhouse.url, "SELECT count() FROM refused").body == b"0\n"
    assert list((clickhouse.data_dir / "spool").iterdir()) == []


def test_settings_of_an_insert_are_kept(clickhouse: Endpoint) -> None:
    """A SETTINGS clause in front of FORMAT still counts."""
    post(
        clickhouse.url,
        "CREATE TABLE IF NOT EXISTS many (a Int32) ENGINE = MergeTree PARTITION BY a ORDER BY a",
    )
    rows = "\n".join(map(str, range(200)))

    insert = "INSERT INTO many (a) SETTINGS max_partitions_per_insert_block = 0 FORMAT TSV"
    answer = post(clickhouse.url, rows, query=insert)

    assert answer.status == 200
    assert post(clickhouse.url, "SELECT count() FROM many").body == b"200\n"


def test_the_file_comes_before_the_settings() -> None:
    """Columns named like the keyword, and brackets, do not lead astray; quotes in a path are escaped."""
    assert (
        insert_from_file("INSERT INTO t (a, settings) SETTINGS x = 1", "TSV", "/s/it's")
        == "INSERT INTO t (a, settings) FROM INFILE '/s/it\\'s' COMPRESSION 'none' SETTINGS x = 1 FORMAT TSV"
    )
    assert (
        insert_from_file("INSERT INTO t", "Native", "/s/f")
        == "INSERT INTO t FROM INFILE '/s/f' COMPRESSION 'none'  FORMAT Native"
    )
