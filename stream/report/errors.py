"""ReportError
├── NoIncidentError  no incident has this id; the message names the nearest ones
├── RefusedError     ClickHouse does not answer a question
└── FileError        the file cannot be written
"""

from __future__ import annotations


class ReportError(Exception):
    """There is no report; the message says why and what to do, in one sentence."""


class NoIncidentError(ReportError, LookupError):
    """No incident has this id."""


class RefusedError(ReportError):
    """ClickHouse does not answer a question."""


class FileError(ReportError):
    """The file cannot be written. ``usage``: it is there, and was not to be replaced."""

    def __init__(self, message: str, usage: bool = False) -> None:
        super().__init__(message)
        self.usage = usage
