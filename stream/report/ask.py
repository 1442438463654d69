"""Questions of a report to ClickHouse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from stream.history import connect
from stream.history.client import error_code, first_line
from stream.history.ledger import Query
from stream.report.errors import RefusedError

Row = dict[str, Any]
Ask = Callable[..., list[Row]]
"""``ask(sql, name=value)``: the rows of a query by column name; parameters as ``{name:Type}`` in it."""

_OLDER: Final = frozenset({16, 47, 60})
"""ClickHouse's codes for a column or table that is not there."""


@contextmanager
def asking(url: str) -> Iterator[Ask]:
    """A way to ask this ClickHouse. Raises HistoryError, and RefusedError where it refuses."""
    with connect(url) as client:
        yield asker(client)


def asker(client: Client) -> Ask:
    """A way to ask through this client."""

    def ask(sql: str, **parameters: Any) -> list[Row]:
        try:
            return [dict(row) for row in client.query(sql, parameters=parameters).named_results()]
        except ClickHouseError as error:
            raise RefusedError(_refusal(error)) from error

    return ask


def ledger_of(ask: Ask) -> Callable[[Query], list[Row]]:
    """The same for the queries of the ledger."""
    return lambda query: ask(query.sql, **query.parameters)


def _refusal(error: ClickHouseError) -> str:
    code = error_code(error)
    if code is None:
        return f"no answer from ClickHouse: {first_line(error)}"
    cure = "; its schema may be older: `trainwarden db migrate`" if code in _OLDER else ""
    return f"ClickHouse refused (code {code}): {first_line(error)}{cure}"
