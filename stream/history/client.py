"""Clients for ClickHouse's HTTP interface (a server, a cluster, or ``trainwarden clickhouse``)."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from stream.history.errors import AddressError, UnreachableError

DEFAULT_DATABASE: Final = "default"
_FORM: Final = "http[s]://[user[:password]@]host:port[/database]"
_POLL_S: Final = 0.2
_CODE: Final = re.compile(r"\bCode:\s*(\d+)")


@dataclass(frozen=True)
class Address:
    """The parts of ``http[s]://[user[:password]@]host:port[/database]``."""

    secure: bool
    host: str
    port: int
    user: str | None
    password: str
    database: str

    @classmethod
    def parse(cls, url: str) -> Address:
        """Raises AddressError."""
        try:
            parts = urlsplit(url)
            port = parts.port or (8443 if parts.scheme == "https" else 8123)
        except ValueError as error:
            raise AddressError(f"ClickHouse: expected {_FORM}, got {url!r} ({error})") from None
        database = unquote(parts.path.strip("/"))
        if parts.scheme not in ("http", "https") or not parts.hostname or "/" in database:
            raise AddressError(f"ClickHouse: expected {_FORM}, got {url!r}")
        user = unquote(parts.username) if parts.username else None
        password = unquote(parts.password or "")
        secure = parts.scheme == "https"
        return cls(secure, parts.hostname, port, user, password, database or DEFAULT_DATABASE)

    def __str__(self) -> str:
        """Without the password, for messages."""
        user = f"{self.user}@" if self.user else ""
        return f"http{'s' * self.secure}://{user}{self.host}:{self.port}/{self.database}"

    def arguments(self, database: str | None = None) -> dict[str, Any]:
        """Keyword arguments for clickhouse-connect; no sessions, so that queries may run side by side."""
        return {
            "host": self.host, "port": self.port, "username": self.user, "password": self.password,
            "secure": self.secure, "database": database or self.database, "autogenerate_session_id": False,
        }  # fmt: skip


def connect(url: str, *, wait_s: float = 0.0, database: str | None = None, **options: Any) -> Client:
    """A client for this address (``database`` in place of the one in the URL).

    ``wait_s``: keep trying for so long while nobody answers. ``options`` go to clickhouse-connect.
    Raises AddressError, UnreachableError; clickhouse-connect's own error where the server refuses.
    """
    address = Address.parse(url)
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return clickhouse_connect.get_client(**{**address.arguments(database), **options})
        except (ClickHouseError, OSError) as error:
            if error_code(error) is not None:
                raise
            if time.monotonic() + _POLL_S > deadline:
                raise UnreachableError(_unreachable(address, wait_s, error)) from error
        time.sleep(_POLL_S)


async def connect_async(url: str, *, database: str | None = None, **options: Any) -> AsyncClient:
    """The asyncio twin of ``connect``, without waiting."""
    address = Address.parse(url)
    try:
        return await clickhouse_connect.get_async_client(**{**address.arguments(database), **options})
    except (ClickHouseError, OSError) as error:
        if error_code(error) is not None:
            raise
        raise UnreachableError(_unreachable(address, 0.0, error)) from error


def error_code(error: BaseException) -> int | None:
    """ClickHouse's code of this error; None where no server answered with one."""
    code = getattr(error, "code", None)
    if isinstance(code, int):
        return code
    match = _CODE.search(str(error))
    return int(match[1]) if match else None


def first_line(error: BaseException) -> str:
    """The error in one line, for messages; of a silent server the cause underneath, which is shorter."""
    cause = error
    while error_code(error) is None and (cause.__cause__ or cause.__context__) is not None:
        cause = cause.__cause__ or cause.__context__ or cause
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return lines[0] if lines else type(cause).__name__


def _unreachable(address: Address, wait_s: float, error: Exception) -> str:
    within = f" within {wait_s:g} s" if wait_s else ""
    return (
        f"ClickHouse: expected an answer from {address}{within}, got: {first_line(error)}; "
        "is it running? (`trainwarden up` or `trainwarden clickhouse` starts one)"
    )
