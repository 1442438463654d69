"""The HTTP server: OTLP/HTTP in, an answer only after Kafka has it.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from stream.gateway import body, split
from stream.gateway.errors import (
    JSON,
    PROTOBUF,
    GatewayError,
    MalformedError,
    RefusedError,
    UnsupportedError,
    code_of,
    status_body,
)  # fmt: skip
from stream.gateway.forward import BEACON_GRACE_S, Forwarder
from stream.gateway.relay import Relay
from stream.gateway.signals import SIGNALS, Signal
from stream.gateway.tls import Certificate
from stream.otlp.parse import OtlpError, parse

_log = logging.getLogger(__name__)

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
MAX_BYTES_UNDER_WAY: Final = 128 * 1024 * 1024
STOP_TIMEOUT_S: Final = 15.0
# Above this, parsing would hold up everybody else's requests.
_THREAD_ABOVE_BYTES: Final = 256 * 1024
_WARN_EVERY_S: Final = 10.0
_POLL_S: Final = 0.02

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Settings:
    """Where to listen and write, and the limits."""

    kafka: str
    host: str = "127.0.0.1"
    port: int = 4318
    max_body_bytes: int = MAX_BODY_BYTES
    max_bytes_under_way: int = MAX_BYTES_UNDER_WAY
    gateway_id: str | None = None
    beacon_grace_s: float = BEACON_GRACE_S
    token: str | None = field(default=None, repr=False)
    tls_cert: Path | None = None
    tls_key: Path | None = None

    def identity(self) -> str:
        """The gateway's id. By default the same after a restart, so that its beacons go on."""
        return self.gateway_id or f"{socket.gethostname()}:{self.port}"


@dataclass
class Counts:
    """Since the start: requests and records taken, and what was not taken by reason."""

    requests: int = 0
    messages: int = 0
    malformed: int = 0
    refused: int = 0
    unavailable: int = 0
    rejected_records: int = 0


@dataclass
class Gateway:
    """A running gateway: ``start`` and ``stop`` inside one event loop."""

    settings: Settings
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        self._budget = body.Budget(self.settings.max_bytes_under_way)
        self._forwarder = Forwarder(
            self.settings.kafka, self.settings.identity(), self.settings.beacon_grace_s
        )
        self._relay = Relay(self.settings.kafka, self.settings.host, self.settings.token, self._forwarder)
        self._warned_at = float("-inf")
        self._under_way = 0
        self._stopping = False
        self._site: web.TCPSite | None = None
        cert = self.settings.tls_cert
        self._certificate = Certificate(cert, self.settings.tls_key) if cert is not None else None
        self._renewing: asyncio.Task[None] | None = None
        # aiohttp would decompress without a limit.
        self._runner = web.AppRunner(
            self._app(), access_log=None, auto_decompress=False, shutdown_timeout=1.0, handle_signals=False
        )

    async def start(self) -> None:
        """Listen and begin to connect to Kafka. Raises GatewayError when the port is taken."""
        await self._runner.setup()
        context = self._certificate.context if self._certificate is not None else None
        self._site = web.TCPSite(self._runner, self.settings.host, self.settings.port, ssl_context=context)
        try:
            await self._site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise GatewayError(
                f"the gateway cannot listen on {self.settings.host}:{self.settings.port}: {error.strerror}; "
                "stop what listens there, or choose another port"
            ) from None
        self._forwarder.start()
        if self._certificate is not None:
            self._renewing = asyncio.ensure_future(self._certificate.renew())
        _log.info("gateway %s listens on %s", self.settings.identity(), self._site.name)

    async def stop(self) -> None:
        """Finish the requests under way, flush to Kafka, close."""
        self._stopping = True
        if self._renewing is not None:
            self._renewing.cancel()
        if self._site is not None:
            await self._site.stop()
        await self._relay.close()
        # aiohttp's own shutdown drops the rest of a body that is still coming.
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while self._under_way and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_S)
        await self._runner.cleanup()
        await self._forwarder.stop()
        _log.info("gateway stopped: %s", dataclasses.asdict(self.counts))

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._track, self._refuse])
        for signal in SIGNALS:
            app.router.add_post(signal.path, self._handler(signal))
        self._relay.add_to(app)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        return app

    def _handler(self, signal: Signal) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            content_type = _content_type(request)
            with self._budget.reserve() as reservation:
                raw = await body.read(request, self.settings.max_body_bytes, reservation)
                messages = await self._prepare(signal, content_type, raw, request, reservation)
                await self._forwarder.send(signal.topic, messages.values, messages.key)
            self.counts.requests += 1
            self.counts.messages += len(messages.values)
            self.counts.rejected_records += messages.rejected
            if messages.rejected:
                self._warn(f"{signal.path}: {messages.rejected} records rejected: {messages.reason}")
            return _answer(signal, messages, content_type)

        return handle

    async def _prepare(
        self, signal: Signal, content_type: str, raw: bytes, request: web.Request,
        reservation: body.Reservation,
    ) -> split.Messages:  # fmt: skip
        encoding = request.headers.get("Content-Encoding", "")

        def prepare() -> tuple[split.Messages, int]:
            payload = body.decompress(raw, encoding, self.settings.max_body_bytes)
            message = _decode(signal, content_type, payload)
            if content_type == JSON:
                payload = message.SerializeToString()
            return split.messages_of(signal, message, payload), len(payload)

        small = len(raw) <= _THREAD_ABOVE_BYTES and not encoding
        messages, size = prepare() if small else await asyncio.to_thread(prepare)
        reservation.grow(size if encoding else 0)
        return messages

    @web.middleware
    async def _track(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._under_way += 1
        try:
            response = await handler(request)
        finally:
            self._under_way -= 1
        if self._stopping:
            response.force_close()
        return response

    @web.middleware
    async def _refuse(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except RefusedError as refusal:
            return self._refused(request, refusal)
        except web.HTTPException as error:
            code = code_of(error.status)
            message = (
                f"{request.method} {request.path}: {error.reason}; OTLP is taken by POST at "
                + ", ".join(signal.path for signal in SIGNALS)
            )
            headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
            return _status_response(request, error.status, code, message, headers)

    def _refused(self, request: web.Request, refusal: RefusedError) -> web.Response:
        headers = None
        if refusal.retry_after_s is not None:
            self.counts.unavailable += 1
            headers = {"Retry-After": str(refusal.retry_after_s)}
        elif isinstance(refusal, MalformedError):
            self.counts.malformed += 1
        else:
            self.counts.refused += 1
        if refusal.retry_after_s is None:
            self._warn(f"{request.path} from {request.remote}: {refusal.status}: {refusal.message}")
        return _status_response(request, refusal.status, refusal.code, refusal.message, headers)

    def _warn(self, message: str) -> None:
        # A broken client repeats itself; the counts at /healthz tell how often.
        now = time.monotonic()
        if now - self._warned_at >= _WARN_EVERY_S:
            self._warned_at = now
            _log.warning("%s (counts: %s)", message, dataclasses.asdict(self.counts))

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok", **dataclasses.asdict(self.counts)})

    async def _readyz(self, request: web.Request) -> web.Response:
        problem = self._forwarder.problem
        return web.json_response(
            {"ready": problem is None, "problem": problem}, status=503 if problem else 200
        )


def _content_type(request: web.Request) -> str:
    if request.content_type not in (PROTOBUF, JSON):
        raise UnsupportedError(f"Content-Type: expected {PROTOBUF} or {JSON}, got {request.content_type!r}")
    if request.content_type == JSON and (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
        raise UnsupportedError(f"Content-Type: expected JSON in utf-8, got charset {request.charset!r}")
    return request.content_type


def _decode(signal: Signal, content_type: str, payload: bytes) -> Any:
    try:
        return signal.from_json(payload) if content_type == JSON else parse(signal.request, payload)
    except OtlpError as error:
        raise MalformedError(f"body: {error}") from None


def _answer(signal: Signal, messages: split.Messages, content_type: str) -> web.Response:
    if content_type == PROTOBUF:
        payload = signal.answer(messages.rejected, messages.reason).SerializeToString()
        return web.Response(body=payload, content_type=PROTOBUF)
    if not messages.rejected:
        return web.json_response({})
    first, *rest = signal.rejected.split("_")
    name = first + "".join(word.capitalize() for word in rest)
    partial = {name: str(messages.rejected), "errorMessage": messages.reason}
    return web.json_response({"partialSuccess": partial})


def _status_response(
    request: web.Request, status: int, code: int, message: str, headers: dict[str, str] | None
) -> web.Response:
    content_type = PROTOBUF if request.content_type == PROTOBUF else JSON
    return web.Response(
        status=status, body=status_body(code, message, content_type), content_type=content_type,
        headers=headers,
    )  # fmt: skip
