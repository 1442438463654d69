"""HistoryError
├── AddressError      not an address of ClickHouse's HTTP interface
├── SettingError      a setting of the history that says nothing we know
├── UnreachableError  nobody answers there
└── MigrationError    the schema cannot be brought up to date
"""

from __future__ import annotations


class HistoryError(Exception):
    """The history cannot be used; the message says what was expected, what came, and the cure."""


class AddressError(HistoryError, ValueError):
    """Not an address of ClickHouse's HTTP interface."""


class SettingError(HistoryError, ValueError):
    """A setting of the history that says nothing we know."""


class UnreachableError(HistoryError, ConnectionError):
    """Nobody answers at the address."""


class MigrationError(HistoryError):
    """The schema cannot be brought up to date."""
