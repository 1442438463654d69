"""Requests to the gateway, one after the other on a kept connection."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from typing import Any, Final

from emitter.otlp import connection, environment
from emitter.otlp.connection import Tls

MOST_BYTES: Final = 16 * 1024 * 1024
_FILES: Final = ("CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE")


class AnswerError(OSError):
    """The gateway answered, but not with what was asked for; the message says what it was."""


class Client:
    """``close`` may be called from another thread: a request under way fails."""

    def __init__(self, url: str, token: str | None, timeout_s: float) -> None:
        self._url, self._timeout_s = url, timeout_s
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        # It is the gateway that telemetry goes to, or one beside it: the same files say whom to trust.
        self._tls = Tls(*(environment.file("logs", what) for what in _FILES))
        self._made: http.client.HTTPConnection | None = None
        self._lock = threading.Lock()
        self._closed = False

    def ask(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> Any:
        """The JSON of the answer. OSError, or http.client.HTTPException, where there is none."""
        kept = self._made is not None
        try:
            return self._ask(method, path, body, kind)
        except (http.client.HTTPException, ConnectionError):
            self.drop()
            if not kept or self._closed:
                raise
        # A connection that was kept may have been closed by the other side; acknowledgements may repeat.
        return self._ask(method, path, body, kind)

    def close(self) -> None:
        """Now and for good."""
        self._closed = True
        with self._lock:
            sock = self._made.sock if self._made is not None else None
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _ask(self, method: str, path: str, body: bytes | None, kind: str) -> Any:
        way = connection.route(self._url)
        made = self._connected(way)
        headers = {**self._headers, **way.headers, **({"content-type": kind} if kind else {})}
        try:
            made.request(method, f"{way.prefix}{path}", body, headers)
            response = made.getresponse()
            content = response.read(MOST_BYTES + 1)
        except BaseException:
            self.drop()
            raise
        if len(content) > MOST_BYTES:
            self.drop()
            raise AnswerError(f"expected at most {MOST_BYTES} bytes, got more")
        if response.status >= 300:
            raise AnswerError(f"it answered {response.status} {_message(content)}")
        try:
            return json.loads(content or b"null")
        except (ValueError, RecursionError):
            raise AnswerError("it answered with something that is not JSON") from None

    def _connected(self, way: connection.Route) -> http.client.HTTPConnection:
        if self._made is None:
            made = http.client.HTTPConnection(way.host, way.port, timeout=self._timeout_s)
            made.auto_open = 0
            made.sock = connection.connect(self._url, way, self._tls, self._timeout_s)
            with self._lock:
                self._made = made
        if self._closed:
            self.drop()
            raise ConnectionAbortedError("closed")
        return self._made

    def drop(self) -> None:
        """Close the connection; the next request makes another. From the thread that asks."""
        with self._lock:
            made, self._made = self._made, None
        if made is not None:
            made.close()


def _message(content: bytes) -> str:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return str(json.loads(content)["message"])[:300]
    return content[:300].decode("utf-8", "replace").strip()
