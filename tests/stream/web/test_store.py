"""Reading from ClickHouse: read-only, limited, errors that say what to do."""

from __future__ import annotations

import asyncio

import pytest

from stream.web.store import MAX_ROWS, Column, Store, StoreError, address


def _query(url: str, sql: str) -> list[Column]:
    async def ask() -> list[Column]:
        async with Store(url) as store:
            return await store.query(sql)

    return asyncio.run(ask())


def test_addresses_are_taken_apart() -> None:
    """User, password and database come out of the URL; the password is in no message."""
    found = address("https://me:p%40ss@ch.example/logs")
    assert (found.url, found.user, found.password, found.database) == (
        "https://ch.example:8443", "me", "p@ss", "logs",
    )  # fmt: skip
    assert address("http://[::1]").url == "http://[::1]:8123"
    with pytest.raises(ValueError, match=r"ClickHouse: expected http"):
        address("ch.example:8123")


def test_numbers_and_times_come_as_they_are(clickhouse_url: str) -> None:
    """NaN survives, 64-bit integers are numbers, times are Unix seconds, no rows are no values."""
    sql = "SELECT nan AS f, toInt64(-5) AS i, toDateTime64(1.5, 3, 'UTC') AS t, NULL AS n"
    assert [column.values for column in _query(clickhouse_url, sql)] == [["nan"], [-5], ["1.500"], [None]]
    assert _query(clickhouse_url, "SELECT 1 AS a WHERE 0")[0].values == []


@pytest.mark.parametrize(
    "sql", ["CREATE TABLE viewer_wrote (a Int8) ENGINE = Memory", "DROP TABLE train_steps"]
)
def test_nothing_can_be_written(history: str, sql: str) -> None:
    """Even a dashboard's own SQL cannot change the history."""
    with pytest.raises(StoreError, match=r"readonly"):
        _query(history, sql)


def test_a_refused_setting_names_the_cure(clickhouse_url: str) -> None:
    """SETTINGS in a query, or a user that may change none, end with what to do."""
    with pytest.raises(StoreError, match=r"give it a user with\n? ?readonly = 2"):
        _query(clickhouse_url, "SELECT 1 SETTINGS max_threads = 1")


def test_too_many_rows_are_refused(clickhouse_url: str) -> None:
    """A query that returns more than the limit is an error, not a slow page."""
    with pytest.raises(StoreError, match=r"Limit for result exceeded|TOO_MANY_ROWS"):
        _query(clickhouse_url, f"SELECT number FROM numbers({MAX_ROWS * 3})")


def test_wrong_sql_is_the_databases_own_message(clickhouse_url: str) -> None:
    """ClickHouse says what is wrong."""
    with pytest.raises(StoreError, match=r"ClickHouse: .*no_such_table"):
        _query(clickhouse_url, "SELECT a FROM no_such_table")
