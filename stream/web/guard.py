"""Keeps strangers out of the page: which Host names are ours, and what the page may load."""

from __future__ import annotations

import ipaddress
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def is_loopback(host: str) -> bool:
    """Whether this host name or address can only mean this machine."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _name_of(host_header: str) -> str:
    """The Host header without its port."""
    if host_header.startswith("["):
        return host_header.partition("]")[0] + "]"
    return host_header.partition(":")[0]


def middleware(bound_to: str) -> Middleware:
    """Refuses foreign Host names while we listen on the loopback only, and sets the security headers.

    A foreign name that leads to the loopback is how a web page elsewhere would read ours (DNS rebinding).
    """
    only_local = is_loopback(bound_to)

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if only_local and not is_loopback(_name_of(request.host)):
            text = f"Host: expected localhost or 127.0.0.1, got {request.host!r}\n"
            return web.Response(status=421, text=text)
        if request.headers.get("Sec-Fetch-Site", "none") == "cross-site" and request.path.startswith("/api/"):
            return web.Response(status=403, text="another site may not read this history\n")
        return await handler(request)

    return guard


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Security headers for every answer (a signal of the application)."""
    response.headers.update(_HEADERS)
    response.headers.setdefault("Cache-Control", "no-cache")
