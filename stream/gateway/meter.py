"""What the gateway counts of requests, whichever way they came."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Final

from stream.gateway import errors
from stream.gateway.signals import SIGNALS, Signal
from stream.telemetry import catalogue
from stream.telemetry.board import Board

HTTP, GRPC = "http", "grpc"
LEFT: Final = "left"
"""The client went away, or a bug of ours ended the request: there was no answer."""
REASONS: Final[dict[type[errors.RefusedError], str]] = {
    errors.MalformedError: "malformed",
    errors.UnauthorizedError: "unauthorized",
    errors.TooSlowError: "too_slow",
    errors.TooLargeError: "too_large",
    errors.UnsupportedError: "unsupported",
    errors.UnavailableError: "unavailable",
    errors.BusyError: "busy",
}
_OTHER: Final = "other"
_SIGNALS: Final = {signal.path: signal.path.removeprefix("/v1/") for signal in SIGNALS}
_PATHS: Final = {**_SIGNALS, "/v1/commands": "commands", "/v1/acks": "acks"}


class Request:
    """One request under way; ``status`` is what it was answered."""

    def __init__(self) -> None:
        self.status: str | int = LEFT


class Meter:
    """Bumps the board; the event loop only."""

    def __init__(self, board: Board) -> None:
        self.under_way = 0
        self._requests = board.count(catalogue.GATEWAY_REQUESTS)
        self._times = board.times(catalogue.GATEWAY_TIME)
        self._bytes = board.count(catalogue.GATEWAY_BYTES)
        self._refused = board.count(catalogue.GATEWAY_REFUSED)
        self._rejected = board.count(catalogue.GATEWAY_REJECTED)
        board.number(catalogue.GATEWAY_UNDER_WAY, lambda: self.under_way)

    @contextmanager
    def request(self, path: str, protocol: str) -> Iterator[Request]:
        """From the beginning of a request to its answer; ``path`` is that of OTLP over HTTP."""
        name, one, began = _PATHS.get(path, _OTHER), Request(), perf_counter()
        self.under_way += 1
        try:
            yield one
        finally:
            self.under_way -= 1
            self._requests[name, protocol, str(one.status)] += 1
            if path in _SIGNALS:  # long polls for commands are slow on purpose
                self._times.add((name, protocol), perf_counter() - began)

    def took(self, signal: Signal, size: int, rejected: int) -> None:
        """Kafka has a request of this many bytes; so many of its records were left out."""
        self._bytes[(_SIGNALS[signal.path],)] += size
        self._rejected[()] += rejected

    def refused(self, refusal: errors.RefusedError) -> None:
        """A request is not taken."""
        self._refused[(REASONS.get(type(refusal), _OTHER),)] += 1
