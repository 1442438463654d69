"""Who may talk to the endpoint: a password where one is set, and no web pages."""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from stream.clickhouse.errors import ClickHouseError


def is_loopback(host: str) -> bool:
    """Whether this host name or address is this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def refuse_web_pages(headers: Mapping[str, str], *, loopback: bool) -> None:
    """Browsers let any page send requests to this machine: take none that a foreign page sent.

    Raises ClickHouseError 497. A name that was made to point at 127.0.0.1 is refused too.
    """
    if not loopback:
        return
    host = urlsplit(f"//{headers.get('Host', '')}").hostname or "localhost"
    origin = headers.get("Origin")
    foreign_origin = origin is not None and not is_loopback(urlsplit(origin).hostname or "")
    if not is_loopback(host) or foreign_origin or headers.get("Sec-Fetch-Site") == "cross-site":
        raise ClickHouseError(497, f"Requests of web pages are not served (Host {host!r}, Origin {origin!r})")


def check_password(fields: Mapping[str, str], headers: Mapping[str, str], password: str | None) -> None:
    """Raise ClickHouseError 516 unless the request brings the password; any user name is welcome."""
    if password is None:
        return
    given = (
        fields.get("password") or headers.get("X-ClickHouse-Key") or _basic(headers.get("Authorization", ""))
    )
    if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), password.encode()):
        raise ClickHouseError(
            516, "default: Authentication failed: password is incorrect, or there is no user with such name."
        )


def _basic(header: str) -> str:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() == "bearer":
        return encoded
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""
