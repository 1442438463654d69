"""An HTTP/1.1 answer, read from a socket until a deadline; and what an OTLP answer says was refused.

Source: RFC 9112, and https://opentelemetry.io/docs/specs/otlp/#otlphttp-response
"""

from __future__ import annotations

import math
import socket
import time
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

from emitter._records import Fate, Outcome
from emitter.otlp import decode

RETRYABLE: Final = frozenset({429, 502, 503, 504})
"""Status codes that OTLP/HTTP lets a client retry."""

HEAD_LIMIT: Final = 64 * 1024
BODY_LIMIT: Final = 1024 * 1024


class BadAnswerError(OSError):
    """What came is not HTTP, or not all of it."""


class ClosedError(OSError):
    """The other side closed before it answered anything: a kept connection that had grown old."""


class Answer(NamedTuple):
    """Header names are in lower case. ``keep``: the connection can take another request."""

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes
    keep: bool


class _Source:
    """Bytes from a socket, by lines and counts. ``end`` is on ``time.monotonic``; TimeoutError after it."""

    def __init__(self, sock: socket.socket, end: float) -> None:
        self._sock, self._end = sock, end
        self._data = b""
        self._begun = False

    def line(self) -> bytes:
        """Up to the next CRLF or LF, without it."""
        while b"\n" not in self._data:
            if len(self._data) > HEAD_LIMIT:
                raise BadAnswerError("a line of the answer's head is too long")
            self._need()
        line, _, self._data = self._data.partition(b"\n")
        return line.rstrip(b"\r")

    def exactly(self, count: int) -> bytes:
        """This many bytes."""
        if not 0 <= count <= BODY_LIMIT:
            raise BadAnswerError(f"an answer of {count} bytes is too long")
        while len(self._data) < count:
            self._need()
        taken, self._data = self._data[:count], self._data[count:]
        return taken

    def rest(self) -> bytes:
        """All until the other side closes."""
        while len(self._data) <= BODY_LIMIT and self._more():
            pass
        return self._data

    def _need(self) -> None:
        if not self._more():
            raise (
                BadAnswerError("the answer ended too early")
                if self._begun
                else ClosedError("the connection was closed without an answer")
            )

    def _more(self) -> bool:
        """Receive; False when the other side has closed."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)
        received = self._sock.recv(65536)
        self._data += received
        self._begun = self._begun or bool(received)
        return bool(received)


def read(sock: socket.socket, end: float) -> Answer:
    """The answer to the request just sent. OSError (with TimeoutError and ClosedError) where none comes."""
    source = _Source(sock, end)
    try:
        version, status, reason = _status(source.line())
        headers = _headers(source)
        while status < 200:  # an answer of 1xx: the real one follows
            version, status, reason = _status(source.line())
            headers = _headers(source)
        return _whole(source, version, Answer(status, reason, headers, b"", True))
    except ValueError as error:
        raise BadAnswerError(f"not an HTTP answer: {error}") from error


def _status(line: bytes) -> tuple[str, int, str]:
    version, _, rest = line.decode("latin-1").partition(" ")
    code, _, reason = rest.partition(" ")
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise ValueError(repr(line[:80]))
    return version, int(code), reason


def _whole(source: _Source, version: str, answer: Answer) -> Answer:
    """The answer with its body."""
    headers = answer.headers
    wish = headers.get("connection", "keep-alive" if version == "HTTP/1.1" else "close").lower()
    answer = answer._replace(keep=wish != "close")
    if answer.status == 204:
        return answer
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return answer._replace(body=_chunks(source))
    if "content-length" in headers:
        return answer._replace(body=source.exactly(int(headers["content-length"])))
    return answer._replace(body=source.rest(), keep=False)


def _headers(source: _Source) -> dict[str, str]:
    headers: dict[str, str] = {}
    while line := source.line():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
        if len(headers) > 256:
            raise ValueError("too many headers")
    return headers


def _chunks(source: _Source) -> bytes:
    body = b""
    while size := int(source.line().partition(b";")[0], 16):
        body += source.exactly(size)
        if source.line() or len(body) > BODY_LIMIT:
            raise ValueError("a chunk without its end")
    _headers(source)
    return body


def outcome(answer: Answer) -> Outcome:
    """What became of the request."""
    if 200 <= answer.status < 300:
        refused, why = partial_success(answer.body)
        return Outcome(Fate.SENT, why, refused=refused)
    why = f"HTTP {answer.status} {answer.reason}".rstrip()
    if answer.status in RETRYABLE:
        return Outcome(Fate.RETRY, why, _wait_s(answer.headers.get("retry-after")))
    if 300 <= answer.status < 400 and "location" in answer.headers:
        why += f" to {answer.headers['location'][:200]}, which is not followed"
    return Outcome(Fate.REFUSED, why)


def partial_success(body: bytes) -> tuple[int, str]:
    """How many records an Export...ServiceResponse says were refused, and why; (0, "") for anything else."""
    try:
        partial = decode.fields_of(decode.fields_of(body).get(1, [b""])[0])
        return int(partial.get(1, [0])[0]), partial.get(2, [b""])[0].decode("utf-8", "replace")[:500]
    except (ValueError, TypeError, AttributeError):  # JSON, or something else that is no such message
        return 0, ""


def _wait_s(header: str | None) -> float | None:
    """Seconds of Retry-After: a number, or a date."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        seconds = _until(header)
    return seconds if 0 <= seconds < math.inf else None


def _until(date: str) -> float:
    try:
        return max(0.0, parsedate_to_datetime(date).timestamp() - time.time())
    except (ValueError, OverflowError):
        return math.nan
