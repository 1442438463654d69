"""Reads from ClickHouse over HTTP: read-only, with limits, as columns."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import aiohttp
import msgspec

MAX_SECONDS: Final = 15
MAX_ROWS: Final = 200_000
MAX_BYTES: Final = 100_000_000
MAX_CONCURRENT: Final = 6

# Columns are easier to reshape than rows; NaN must survive, and DateTime come as a number.
_OUTPUT: Final = {
    "default_format": "JSONColumnsWithMetadata",
    "output_format_json_quote_denormals": "1",
    "output_format_json_quote_64bit_integers": "0",
    "date_time_output_format": "unix_timestamp",
}
_LIMITS: Final = {
    "readonly": "1",
    "max_execution_time": str(MAX_SECONDS),
    "max_result_rows": str(MAX_ROWS),
    "max_result_bytes": str(MAX_BYTES),
    "result_overflow_mode": "throw",
}

_TOO_MANY: Final = "TOO_MANY_ROWS_OR_BYTES"
_CURE: Final = (
    "\nThe viewer asks read-only by itself and sets limits and formats for each query: give it a user with"
    " readonly = 2 (or 0), and use no SETTINGS in a dashboard's SQL."
)


class StoreError(RuntimeError):
    """ClickHouse did not answer the query. ``unreachable`` tells whether it could be asked at all."""

    def __init__(self, message: str, *, unreachable: bool = False) -> None:
        super().__init__(message)
        self.unreachable = unreachable


class TooManyRowsError(StoreError):
    """The result has more rows or bytes than we let anybody ask for."""


class Column(msgspec.Struct):
    """One column of a result: name, ClickHouse type, values as JSON gives them."""

    name: str
    type: str
    values: list[Any]


class _Meta(msgspec.Struct):
    name: str
    type: str


class _Answer(msgspec.Struct):
    meta: list[_Meta]
    data: dict[str, list[Any]]


_decoder = msgspec.json.Decoder(_Answer)


@dataclass(frozen=True)
class Address:
    """Where ClickHouse's HTTP interface is, taken apart. ``url`` holds no password, for messages."""

    url: str
    user: str | None
    password: str | None
    database: str


def address(url: str) -> Address:
    """From ``http(s)://[user:password@]host:port[/database]``. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"ClickHouse: expected http(s)://[user:password@]host:port[/database], got {url!r}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = parts.port or (8443 if parts.scheme == "https" else 8123)
    return Address(
        url=f"{parts.scheme}://{host}:{port}",
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        database=parts.path.strip("/") or "default",
    )


class Store:
    """Asks one ClickHouse. Use as an async context manager."""

    def __init__(self, url: str) -> None:
        self.address = address(url)
        self._turn = asyncio.Semaphore(MAX_CONCURRENT)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Store:
        headers = {"X-ClickHouse-User": self.address.user, "X-ClickHouse-Key": self.address.password}
        self._session = aiohttp.ClientSession(
            headers={name: value for name, value in headers.items() if value},
            timeout=aiohttp.ClientTimeout(total=MAX_SECONDS + 5, connect=5),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def ping(self) -> None:
        """Returns when ClickHouse answers. Raises StoreError."""
        await self.query("SELECT 1 AS one")

    async def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[Column]:
        """The columns of the result; ``parameters``: texts, or lists of them. Raises StoreError."""
        async with self._turn:
            status, body = await self._post(sql, parameters or {})
        if status != 200:
            text = body.decode("utf-8", "replace").strip()[:2000] or f"HTTP {status}"
            kind = TooManyRowsError if _TOO_MANY in text else StoreError
            raise kind(f"ClickHouse: {text}{_CURE if 'Cannot modify' in text else ''}")
        return _columns(body)

    async def _post(self, sql: str, values: Mapping[str, Any]) -> tuple[int, bytes]:
        if self._session is None:
            raise StoreError("ClickHouse: the viewer is not started", unreachable=True)
        named = {f"param_{name}": _parameter(value) for name, value in values.items()}
        parameters = {"database": self.address.database, **_OUTPUT, **_LIMITS, **named}
        try:
            async with self._session.post(self.address.url, params=parameters, data=sql.encode()) as response:
                return response.status, await response.read()
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            reason = str(error) or type(error).__name__
            message = f"ClickHouse at {self.address.url} does not answer ({reason}); is it running?"
            raise StoreError(message, unreachable=True) from None


def _parameter(value: Any) -> str:
    """As ClickHouse reads a parameter: a text escaped as in TSV, a list as a literal."""
    if isinstance(value, str):
        return _escaped(value)
    return "[" + ",".join(f"'{_escaped(str(item))}'" for item in value) + "]"


def _escaped(text: str) -> str:
    for plain, escaped in (
        ("\\", "\\\\"),
        ("'", "\\'"),
        ("\t", "\\t"),
        ("\n", "\\n"),
        ("\r", "\\r"),
        ("\0", "\\0"),
    ):
        text = text.replace(plain, escaped)
    return text


def _columns(body: bytes) -> list[Column]:
    try:
        answer = _decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise StoreError(f"ClickHouse: expected JSON columns, got {body[:200]!r} ({error})") from None
    # Without rows the data holds no columns.
    return [Column(meta.name, meta.type, answer.data.get(meta.name, [])) for meta in answer.meta]
