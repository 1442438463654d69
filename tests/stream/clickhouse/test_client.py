"""The unmodified clickhouse-connect client against the endpoint, sync and async."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect
import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError


@pytest.fixture
def client(clickhouse_url: str) -> Iterator[Any]:
    parts = urlsplit(clickhouse_url)
    with clickhouse_connect.get_client(host=parts.hostname, port=parts.port) as client:
        yield client


@pytest.fixture
def table(client: Any) -> Iterator[str]:
    """An empty table (a Int64, s String, at DateTime64(9), v Nullable(Float64)) of this test's own."""
    name = f"t_{uuid.uuid4().hex}"
    client.command(
        f"CREATE TABLE {name} (a Int64, s String, at DateTime64(9), v Nullable(Float64)) "
        "ENGINE = MergeTree ORDER BY a"
    )
    yield name
    client.command(f"DROP TABLE {name}")


NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc)


def test_rows(client: Any, table: str) -> None:
    """Rows inserted as lists come back as they were."""
    rows = [[1, "x", NOW, 0.5], [2, "it's \\ \n", NOW, None]]
    summary = client.insert(table, rows, column_names=["a", "s", "at", "v"])
    assert summary.written_rows == 2
    found = client.query(f"SELECT a, s, at, v FROM {table} ORDER BY a").result_rows
    assert [(a, s, v) for a, s, _, v in found] == [(1, "x", 0.5), (2, "it's \\ \n", None)]
    assert all(at.replace(tzinfo=timezone.utc) == NOW for _, _, at, _ in found)


def test_columns(client: Any, table: str) -> None:
    """Column-oriented inserts work."""
    client.insert(table, [[1, 2, 3], ["a", "b", "c"]], column_names=["a", "s"], column_oriented=True)
    assert client.query(f"SELECT s FROM {table} ORDER BY a").result_columns == [["a", "b", "c"]]


def test_arrow(client: Any, table: str) -> None:
    """Arrow tables go in and out."""
    client.insert_arrow(table, pa.table({"a": [5, 6], "s": ["q", "r"]}))
    assert client.query_arrow(f"SELECT a, s FROM {table} ORDER BY a").column("a").to_pylist() == [5, 6]


def test_pandas(client: Any, table: str) -> None:
    """A result comes as a DataFrame, and a DataFrame goes in."""
    frame = client.query_df("SELECT number AS a, toString(number) AS s FROM numbers(3)")
    client.insert_df(table, frame)
    assert client.query_df(f"SELECT a FROM {table} ORDER BY a")["a"].tolist() == [0, 1, 2]


def test_errors_carry_the_code(client: Any) -> None:
    """The client sees ClickHouse's own code and name."""
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE") as raised:
        client.query("SELECT * FROM no_such_table")
    assert raised.value.code == 60


def test_async_client(clickhouse_url: str, table: str) -> None:
    """The async client inserts and reads, several at once."""
    parts = urlsplit(clickhouse_url)

    async def use() -> list[int]:
        client = await clickhouse_connect.get_async_client(host=parts.hostname, port=parts.port)
        async with client:
            await asyncio.gather(
                *(client.insert(table, [[n, "x"]], column_names=["a", "s"]) for n in range(8))
            )
            result = await client.query(f"SELECT a FROM {table} ORDER BY a")
        return [row[0] for row in result.result_rows]

    assert asyncio.run(use()) == list(range(8))
