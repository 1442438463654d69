"""Inserts into ClickHouse: whole Arrow batches, each with a token by which a repeated one is dropped."""

from __future__ import annotations

import logging
from typing import Any, Final

import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from stream.history import HistoryError, connect
from stream.history.client import Address, error_code, first_line

_log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S: Final = 5
INSERT_TIMEOUT_S: Final = 120

# ClickHouse's codes for "these rows, not this server": CANNOT_PARSE_TEXT,
# CANNOT_PARSE_INPUT_ASSERTION_FAILED, CANNOT_READ_ALL_DATA, TYPE_MISMATCH, ARGUMENT_OUT_OF_BOUND,
# CANNOT_CONVERT_TYPE, CANNOT_PARSE_NUMBER, INCORRECT_DATA, VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE,
# CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN, VIOLATED_CONSTRAINT, UNKNOWN_ELEMENT_OF_ENUM.
_BAD_ROWS: Final = frozenset({6, 27, 33, 53, 69, 70, 72, 117, 321, 349, 469, 691})
# NO_SUCH_COLUMN_IN_TABLE, UNKNOWN_TABLE, UNKNOWN_DATABASE.
_NO_SCHEMA: Final = frozenset({16, 60, 81})


class UnavailableError(Exception):
    """ClickHouse cannot take the insert now; the same insert may be tried again."""


class Writer:
    """Inserts one batch at a time; used from one thread at a time. Connects when it first has to."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: Client | None = None

    def insert(self, table: str, rows: pa.Table, token: str) -> int:
        """Insert the rows unless this token was inserted before; how many ClickHouse refused.

        Refused rows are found by halving the batch, named in the log and left out. Raises UnavailableError.
        """
        try:
            self._send(table, rows, token)
        except ClickHouseError as error:
            if error_code(error) not in _BAD_ROWS:
                self.close()
                raise UnavailableError(unavailable(self._url, table, error)) from error
            if rows.num_rows == 1:
                _log.error("%s: not stored in history: %s: %s", table, rows.to_pylist()[0], first_line(error))
                return 1
        except (HistoryError, OSError) as error:
            self.close()
            raise UnavailableError(str(error)) from error
        else:
            return 0
        half = rows.num_rows // 2
        left = self.insert(table, rows.slice(0, half), f"{token}/0")
        return left + self.insert(table, rows.slice(half), f"{token}/1")

    def close(self) -> None:
        """Let the connection go; the next insert opens another."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _send(self, table: str, rows: pa.Table, token: str) -> None:
        if self._client is None:
            self._client = connect(
                self._url, connect_timeout=CONNECT_TIMEOUT_S, send_receive_timeout=INSERT_TIMEOUT_S
            )
        self._client.insert_arrow(table, rows, settings=insert_settings(f"{table}/{token}"))


def unavailable(url: str, table: str, error: Exception) -> str:
    """What to say of an error that is the server's own, with the cure where there is one."""
    if error_code(error) is None:
        return f"no answer from {Address.parse(url)}: {first_line(error)}"
    cure = "; bring the schema up to date with `trainwarden db migrate`"
    return f"{table}: {first_line(error)}{cure if error_code(error) in _NO_SCHEMA else ''}"


def insert_settings(token: str) -> dict[str, Any]:
    """ClickHouse settings of one insert: dropped with its roll-ups where the token is known already."""
    return {
        "async_insert": 0,
        "deduplicate_blocks_in_dependent_materialized_views": 1,
        "insert_deduplicate": 1,
        "insert_deduplication_token": token,
        # One batch may carry old records of many days, which would be refused by default.
        "max_partitions_per_insert_block": 0,
    }
