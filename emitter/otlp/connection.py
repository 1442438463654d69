"""How to reach a server: directly or through the environment's proxy, in the clear or over TLS."""

from __future__ import annotations

import base64
import contextlib
import encodings.idna  # noqa: F401 - looking up a host imports it, and would do so in a thread
import http.client
import ipaddress
import os
import socket
import ssl
from typing import Final, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from emitter._endpoints import is_loopback
from emitter._loading import loading

PORTS: Final = {"http": 80, "https": 443}


class Tls(NamedTuple):
    """Files in PEM; ``certificate`` is what the server is checked against, the system's without it."""

    certificate: str | None = None
    client_key: str | None = None
    client_certificate: str | None = None


class Route(NamedTuple):
    """Where to connect, and what a request then begins with."""

    host: str
    port: int
    proxy: SplitResult | None
    prefix: str
    """Of the path in the request line: a proxy is asked for the whole URL."""
    headers: dict[str, str]


def route(url: str) -> Route:
    """The way to this URL. OSError for a proxy that we cannot use."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    proxy = _proxy(parts)
    if proxy is None:
        return Route(host, port, None, "", {})
    if proxy.scheme != "http" or not proxy.hostname:
        raise OSError(f"expected a proxy as http://host:port, got {proxy.scheme}://{_place(proxy)}")
    if parts.scheme == "https":
        return Route(host, port, proxy, "", {})
    return Route(host, port, proxy, f"http://{_place(parts)}", basic(proxy, "proxy-authorization"))


def connect(url: str, way: Route, tls: Tls, timeout_s: float) -> socket.socket:
    """A socket that is ready for requests. OSError with the reason."""
    secure = urlsplit(url).scheme == "https"
    host, port = (way.proxy.hostname or "", way.proxy.port or 80) if way.proxy else (way.host, way.port)
    made = (
        http.client.HTTPSConnection(host, port, timeout=timeout_s, context=_context(tls))
        if secure
        else http.client.HTTPConnection(host, port, timeout=timeout_s)
    )
    if secure and way.proxy:
        made.set_tunnel(way.host, way.port, headers=basic(way.proxy, "Proxy-Authorization"))
    made.connect()
    return made.sock


def basic(parts: SplitResult, name: str) -> dict[str, str]:
    """User and password of a URL as a header; empty without them."""
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {name: f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _context(tls: Tls) -> ssl.SSLContext:
    """Made anew for each connection, so that certificates that were renewed are used."""
    for file in tls:
        if file is not None and not os.access(file, os.R_OK):
            raise OSError(f"cannot read {file}, which OTEL_EXPORTER_OTLP_* names")
    context = ssl.create_default_context(cafile=tls.certificate)
    if tls.client_certificate is not None:
        context.load_cert_chain(tls.client_certificate, tls.client_key)
    return context


def _proxy(parts: SplitResult) -> SplitResult | None:
    """HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, never for the machine itself."""
    host = parts.hostname or ""
    if is_loopback(host) or not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    with loading:
        from urllib.request import getproxies_environment, proxy_bypass

    proxies = getproxies_environment()
    place = proxies.get(parts.scheme) or proxies.get("all")
    if not place or proxy_bypass(_place(parts)) or _in_networks(host, proxies.get("no", "")):
        return None
    return urlsplit(place if "://" in place else f"http://{place}")


def _in_networks(host: str, excepted: str) -> bool:
    """Whether NO_PROXY names a network (10.0.0.0/8) that this address is in."""
    for word in excepted.split(","):
        with contextlib.suppress(ValueError):
            if "/" in word and ipaddress.ip_address(host) in ipaddress.ip_network(word.strip(), strict=False):
                return True
    return False


def _place(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]
