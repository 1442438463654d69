"""Keeps strangers out of the page: which Host names are ours, what the page may load, who has the token."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
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


_OPEN: Final = (
    "/healthz",
    "/readyz",
    "/static/icon.svg",
    "/static/style/theme.css",
    "/static/style/login.css",
)
_COOKIE: Final = "trainwarden_viewer"
_MONTH_S: Final = 30 * 86_400


@dataclass(frozen=True)
class Lock:
    """Opens the viewer to those who know the token: in the address, as a bearer, or by a cookie of before."""

    token: str
    login: str
    """The page that asks for it."""

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answers 401 to those without it; probes and the colours of the login page are open."""
        if request.path in _OPEN or self._is_known(request):
            return await handler(request)
        offered = await self._offered(request)
        if offered is None or not self._is_ours(offered):
            return self._ask(request, wrong=offered is not None)
        # The address is kept in the browser's history: it must not keep the token.
        kept = {name: value for name, value in request.query.items() if name != "token"}
        answer = web.HTTPSeeOther(request.rel_url.with_query(kept) if request.method == "GET" else "/")
        answer.set_cookie(
            _COOKIE, self._proof, max_age=_MONTH_S, httponly=True, samesite="Strict", secure=request.secure
        )
        return answer

    @property
    def _proof(self) -> str:
        """What the cookie holds: shows that the token was known, without being it."""
        return hashlib.sha256(b"trainwarden viewer\0" + self.token.encode()).hexdigest()

    def _is_known(self, request: web.Request) -> bool:
        kind, _, bearer = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._is_ours(bearer.strip()):
            return True
        return hmac.compare_digest(request.cookies.get(_COOKIE, "").encode(), self._proof.encode())

    def _is_ours(self, token: str) -> bool:
        return hmac.compare_digest(token.encode("utf-8", "replace"), self.token.encode())

    async def _offered(self, request: web.Request) -> str | None:
        if request.method == "GET":
            return request.query.get("token")
        if request.method == "POST" and request.path == "/login":
            return str((await request.post()).get("token", ""))
        return None

    def _ask(self, request: web.Request, *, wrong: bool) -> web.Response:
        if request.method == "GET" and not request.path.startswith(("/api/", "/static/")):
            page = self.login.replace("<!-- said -->", "That is not it." if wrong else "")
            return web.Response(status=401, text=page, content_type="text/html")
        text = "this viewer asks for a token: send it as `Authorization: Bearer TOKEN`"
        return web.json_response({"error": text}, status=401, headers={"WWW-Authenticate": "Bearer"})


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Security headers for every answer (a signal of the application)."""
    response.headers.update(_HEADERS)
    response.headers.setdefault("Cache-Control", "no-cache")
