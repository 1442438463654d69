"""One OTLP request on its way to Kafka, whichever way it came: the limits, the messages, the counts."""

from __future__ import annotations

import asyncio
import dataclasses
import hmac
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from stream.gateway import body, split
from stream.gateway.errors import JSON, MalformedError, RefusedError, UnauthorizedError
from stream.gateway.forward import Forwarder
from stream.gateway.meter import Meter
from stream.gateway.settings import Counts, Settings
from stream.gateway.signals import Signal
from stream.otlp.parse import OtlpError, parse
from stream.telemetry.board import Board
from stream.telemetry.catalogue import GATEWAY_QUEUE

_log = logging.getLogger(__name__)

# Above this, parsing would hold up everybody else's requests.
_THREAD_ABOVE_BYTES: Final = 256 * 1024
# A parsed request takes many times its bytes: few at once bound the memory.
_PARSERS: Final = 2
_WARN_EVERY_S: Final = 10.0


class Intake:
    """Takes requests to Kafka. ``counts`` says what became of them."""

    def __init__(
        self, settings: Settings, forwarder: Forwarder, counts: Counts, board: Board | None = None
    ) -> None:
        self.counts = counts
        board = board or Board()
        self.meter = Meter(board)
        board.number(GATEWAY_QUEUE, lambda: self._budget.used)
        self._settings, self._forwarder = settings, forwarder
        self._budget = body.Budget(settings.max_bytes_under_way)
        self._threads = ThreadPoolExecutor(_PARSERS, "parser")
        self._warned_at = float("-inf")

    def reserve(self) -> body.Reservation:
        """The room that one request holds while it is under way."""
        return self._budget.reserve()

    @property
    def full(self) -> str | None:
        """Why another request of the largest size would be refused; None while it would not."""
        limit = self._settings.max_bytes_under_way
        if self._budget.used <= max(limit - self._settings.max_body_bytes, limit // 2):
            return None
        return f"{self._budget.used} of at most {limit} bytes are under way"

    def authorize(self, given: str) -> None:
        """Raises UnauthorizedError where a token is asked for and this is not `Bearer` and the token."""
        token = self._settings.otlp_token
        if token is not None and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            raise UnauthorizedError("Authorization: expected `Bearer` and the gateway's token for OTLP")

    async def take(
        self, signal: Signal, content_type: str, raw: bytes, encoding: str, reservation: body.Reservation
    ) -> split.Messages:
        """Return once Kafka has it, with what was left out. Raises RefusedError."""
        messages = await self._prepare(signal, content_type, raw, encoding, reservation)
        await self._forwarder.send(signal.topic, messages.values, messages.key)
        self.counts.requests += 1
        self.counts.messages += len(messages.values)
        self.counts.rejected_records += messages.rejected
        self.meter.took(signal, len(raw), messages.rejected)
        if messages.rejected:
            self._warn(f"{signal.path}: {messages.rejected} records rejected: {messages.reason}")
        return messages

    def refused(self, refusal: RefusedError, place: str) -> None:
        """Count a request that is not taken; say so where it is the sender's fault."""
        self.meter.refused(refusal)
        if refusal.retry_after_s is not None:
            self.counts.unavailable += 1
            return
        if isinstance(refusal, MalformedError):
            self.counts.malformed += 1
        else:
            self.counts.refused += 1
        self._warn(f"{place}: {refusal.status}: {refusal.message}")

    def close(self) -> None:
        """Nothing is taken any more."""
        self._threads.shutdown(wait=False)

    async def _prepare(
        self, signal: Signal, content_type: str, raw: bytes, encoding: str, reservation: body.Reservation
    ) -> split.Messages:
        def prepare() -> tuple[split.Messages, int]:
            payload = body.decompress(raw, encoding, self._settings.max_body_bytes)
            message = _decode(signal, content_type, payload)
            if content_type == JSON:
                payload = message.SerializeToString()
            return split.messages_of(signal, message, payload), len(payload)

        if len(raw) <= _THREAD_ABOVE_BYTES and not encoding:
            return prepare()[0]
        messages, size = await asyncio.get_running_loop().run_in_executor(self._threads, prepare)
        reservation.grow(size if encoding else 0)
        return messages

    def _warn(self, message: str) -> None:
        # A broken client repeats itself; the counts at /healthz tell how often.
        now = time.monotonic()
        if now - self._warned_at >= _WARN_EVERY_S:
            self._warned_at = now
            _log.warning("%s (counts: %s)", message, dataclasses.asdict(self.counts))


def _decode(signal: Signal, content_type: str, payload: bytes) -> Any:
    try:
        return signal.from_json(payload) if content_type == JSON else parse(signal.request, payload)
    except OtlpError as error:
        raise MalformedError(f"body: {error}") from None
