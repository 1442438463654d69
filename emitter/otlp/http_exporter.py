"""OTLP over HTTP/1.1: one kept connection a signal's server, written to directly.

The standard library's client costs 200 us of Python a request, mostly for headers, ours 50; every
quarter of a second that is what a trainer pays. It still connects for us: TLS, proxies, timeouts.
"""

from __future__ import annotations

import contextlib
import gzip
import socket
import ssl
import time
import zlib
from typing import Final
from urllib.parse import urlsplit

from emitter._guard import guard
from emitter._records import LOGS, METRICS, TRACES, Fate, Outcome, Payload
from emitter.otlp import answer, connection, environment
from emitter.otlp.connection import Route, Tls

_SMALL: Final = 65536
"""Bytes up to which head and body are joined: one call, one packet."""


class HttpExporter:
    """An Exporter. Headers, TLS and compression come from ``OTEL_EXPORTER_OTLP_*`` variables."""

    def __init__(
        self, logs_url: str, spans_url: str, timeout_s: float | None, metrics_url: str | None = None
    ) -> None:
        self.target = _origin(logs_url)
        self._lanes = {
            signal: _Lane(signal, url, environment.timeout_s(signal) if timeout_s is None else timeout_s)
            for signal, url in ((LOGS, logs_url), (TRACES, spans_url), (METRICS, metrics_url))
            if url is not None
        }

    def send(self, payload: Payload) -> Outcome:
        """One POST, within the timeout."""
        with guard:
            return self._lanes[payload.signal].post(payload.body)
        return Outcome(Fate.REFUSED, "internal error")

    def close(self) -> None:
        """Close the sockets; a call under way fails."""
        for lane in self._lanes.values():
            lane.close()


class _Lane:
    """The way of one signal: its URL, its headers and its connection."""

    def __init__(self, signal: str, url: str, timeout_s: float) -> None:
        self._url, self._timeout_s = url, timeout_s
        self._tls = Tls(*(environment.file(signal, name) for name in _FILES))
        self._compression = environment.compression(signal)
        self._headers = environment.headers(signal)
        self._way: Route | None = None
        self._head = b""
        self._sock: socket.socket | None = None
        self._closed = False

    def post(self, body: bytes) -> Outcome:
        """Send; a kept connection that turns out to be closed is replaced once."""
        end = time.monotonic() + self._timeout_s
        packed = _compressed(body, self._compression)
        try:
            found = self._kept(packed, end) or self._exchange(packed, end)
        except (OSError, ValueError) as error:
            self._drop()
            return Outcome(Fate.RETRY, f"{type(error).__name__}: {error}")
        return answer.outcome(found)

    def close(self) -> None:
        """No more requests."""
        self._closed = True
        if (sock := self._sock) is not None:
            with guard:
                _shut(sock)

    def _kept(self, body: bytes, end: float) -> answer.Answer | None:
        """The answer over the kept connection; None where there is none that still works."""
        if self._sock is None:
            return None
        try:
            return self._exchange(body, end)
        except TimeoutError:
            raise
        except (ConnectionError, answer.ClosedError, ssl.SSLError):
            self._drop()
            return None

    def _exchange(self, body: bytes, end: float) -> answer.Answer:
        sock = self._sock or self._connect(end)
        sock.settimeout(max(0.001, end - time.monotonic()))
        with contextlib.suppress(ConnectionError):  # an early refusal may be there to read
            _send(sock, b"%b%d\r\n\r\n" % (self._head, len(body)), body)
        found = answer.read(sock, end)
        if not found.keep:
            self._drop()
        return found

    def _connect(self, end: float) -> socket.socket:
        if self._closed:
            raise ConnectionError("closed")
        way = connection.route(self._url)
        self._head = self._request_head(way)
        self._sock = connection.connect(self._url, way, self._tls, max(0.001, end - time.monotonic()))
        return self._sock

    def _request_head(self, way: Route) -> bytes:
        """The request up to the number of its bytes; the same for all requests of a connection."""
        parts = urlsplit(self._url)
        headers = {
            "host": parts.netloc.rpartition("@")[2],
            "user-agent": "trainwarden-emitter",
            "content-type": "application/x-protobuf",
            **({"content-encoding": self._compression} if self._compression else {}),
            **connection.basic(parts, "authorization"),
            **way.headers,
            **self._headers,
        }
        path = f"{way.prefix}{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return ("\r\n".join(lines) + "\r\ncontent-length: ").encode("latin-1")

    def _drop(self) -> None:
        sock, self._sock = self._sock, None
        if sock is not None:
            sock.close()


_FILES: Final = ("CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE")


def _send(sock: socket.socket, head: bytes, body: bytes) -> None:
    """Small requests in one packet; large ones without a copy."""
    if len(body) <= _SMALL:
        sock.sendall(head + body)
    else:
        sock.sendall(head)
        sock.sendall(body)


def _compressed(body: bytes, how: str) -> bytes:
    if how == "gzip":
        return gzip.compress(body, 1, mtime=0)
    return zlib.compress(body, 1) if how == "deflate" else body


def _shut(sock: socket.socket) -> None:
    """Wake a thread that waits in this socket, and release it."""
    with contextlib.suppress(OSError):  # it was not connected any more
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()


def _origin(url: str) -> str:
    """Scheme, host and port: what may be shown in a message."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
