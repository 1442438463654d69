"""The history in ClickHouse: how to reach it, and its schema (``deploy/clickhouse``, docs/history.md)."""

from stream.history.client import connect, connect_async
from stream.history.errors import AddressError, HistoryError, MigrationError, SettingError, UnreachableError

__all__ = [
    "AddressError",
    "HistoryError",
    "MigrationError",
    "SettingError",
    "UnreachableError",
    "connect",
    "connect_async",
]
