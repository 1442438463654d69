"""ClickHouse's exceptions as its HTTP interface shows them: code, name, message, HTTP status.

EndpointError: the endpoint cannot start; says why and what to do.
ClickHouseError: an error with ClickHouse's own code, raised by the engine or by the endpoint.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# The codes this endpoint raises by itself; the engine's own errors carry their names.
NAMES: Final = {
    1: "UNSUPPORTED_METHOD",
    36: "BAD_ARGUMENTS",
    48: "NOT_IMPLEMENTED",
    62: "SYNTAX_ERROR",
    89: "UNKNOWN_COMPRESSION_METHOD",
    108: "NO_DATA_TO_INSERT",
    164: "READONLY",
    202: "TOO_MANY_SIMULTANEOUS_QUERIES",
    216: "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING",
    229: "QUERY_IS_TOO_LARGE",
    243: "NOT_ENOUGH_SPACE",
    271: "CANNOT_DECOMPRESS",
    307: "TOO_MANY_BYTES",
    372: "SESSION_NOT_FOUND",
    373: "SESSION_IS_LOCKED",
    374: "INVALID_SESSION_TIMEOUT",
    394: "QUERY_WAS_CANCELLED",
    497: "ACCESS_DENIED",
    516: "AUTHENTICATION_FAILED",
    1002: "UNKNOWN_EXCEPTION",
}

# The mapping of ClickHouse's src/Server/HTTP/exceptionCodeToHTTPStatus.cpp; what is not named is a 500.
_BY_STATUS: Final = {
    400: """
        BAD_ARGUMENTS CANNOT_COMPILE_REGEXP CANNOT_PARSE_TEXT CANNOT_PARSE_ESCAPE_SEQUENCE
        CANNOT_PARSE_QUOTED_STRING CANNOT_PARSE_DATE CANNOT_PARSE_DATETIME CANNOT_PARSE_NUMBER
        CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING CANNOT_PARSE_IPV4 CANNOT_PARSE_IPV6
        CANNOT_PARSE_INPUT_ASSERTION_FAILED CANNOT_PARSE_UUID DUPLICATE_COLUMN ILLEGAL_COLUMN
        UNKNOWN_ELEMENT_IN_AST UNKNOWN_TYPE_OF_AST_NODE THERE_IS_NO_COLUMN TOO_DEEP_AST TOO_BIG_AST
        UNEXPECTED_AST_STRUCTURE SYNTAX_ERROR INCORRECT_DATA TYPE_MISMATCH
        VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
    """,
    401: "REQUIRED_PASSWORD",
    403: "UNKNOWN_USER WRONG_PASSWORD AUTHENTICATION_FAILED SET_NON_GRANTED_ROLE ACCESS_DENIED",
    404: """
        UNKNOWN_TABLE UNKNOWN_FUNCTION UNKNOWN_IDENTIFIER UNKNOWN_TYPE UNKNOWN_STORAGE UNKNOWN_DATABASE
        UNKNOWN_SETTING UNKNOWN_DIRECTION_OF_SORTING UNKNOWN_AGGREGATE_FUNCTION UNKNOWN_FORMAT
        UNKNOWN_DATABASE_ENGINE UNKNOWN_TYPE_OF_QUERY UNKNOWN_ROLE
    """,
    408: "TIMEOUT_EXCEEDED",
    411: "HTTP_LENGTH_REQUIRED",
    413: "QUERY_IS_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    501: "NOT_IMPLEMENTED",
    503: "SOCKET_TIMEOUT CANNOT_OPEN_FILE CANNOT_SCHEDULE_TASK",
}
_STATUS: Final = {name: status for status, names in _BY_STATUS.items() for name in names.split()}
_CODE = re.compile(r"Code: (\d+)\. DB::Exception: ")
_NAME = re.compile(r"\(([A-Z][A-Z0-9_]+)\)\s*$")
_VERSION = re.compile(r"\s*\(version [^()]*\)\.?")


class EndpointError(RuntimeError):
    """The endpoint cannot be started as asked."""


class ClickHouseError(Exception):
    """An error as ClickHouse words it: ``Code: N. DB::Exception: message (NAME)``."""

    def __init__(self, code: int, message: str, name: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.name = name or NAMES.get(code, "UNKNOWN_EXCEPTION")

    @property
    def status(self) -> int:
        """The HTTP status ClickHouse answers for this error."""
        return _STATUS.get(self.name, 500)

    def body(self, version: str) -> str:
        """The response body, one line with the code, the name and the engine's version."""
        return f"Code: {self.code}. DB::Exception: {self.message} ({self.name}) (version {version})\n"


_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turn a full disk, where a body is put aside for the engine, into ClickHouse's own error."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        text = f"{error.strerror}: nothing was stored; free space below the data directory and send again"
        raise ClickHouseError(243, text) from error


def from_engine(text: str) -> ClickHouseError:
    """Read the engine's error text (it may nest ``Code: N.`` prefixes); code 1002 where it has none."""
    text = _VERSION.sub("", text).strip()
    found = list(_CODE.finditer(text))
    if not found:
        return ClickHouseError(1002, text)
    code, message = int(found[0].group(1)), text[found[0].end() :]
    while (again := _CODE.match(message)) and int(again.group(1)) == code:
        message = message[again.end() :]
    name = None
    while trailing := _NAME.search(message):
        name, message = trailing.group(1), message[: trailing.start()].rstrip()
        if message.endswith(f"({name})."):
            message = message[:-1]
    return ClickHouseError(code, message, name)
