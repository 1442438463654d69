"""The HTTP server: OTLP/HTTP in, an answer only after Kafka has it.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from emitter._endpoints import is_loopback
from emitter.vocabulary.stack import ENV_OTLP_TOKEN
from stream.gateway import body, split
from stream.gateway.connections import Connections
from stream.gateway.errors import (
    JSON,
    PROTOBUF,
    GatewayError,
    RefusedError,
    UnsupportedError,
    code_of,
    status_body,
)  # fmt: skip
from stream.gateway.forward import Forwarder
from stream.gateway.intake import Intake
from stream.gateway.meter import HTTP
from stream.gateway.relay import Relay
from stream.gateway.rpc import RpcServer
from stream.gateway.settings import Counts, Settings
from stream.gateway.signals import SIGNALS, Signal
from stream.gateway.tls import Certificate
from stream.telemetry.board import Board
from stream.telemetry.server import readyz

_log = logging.getLogger(__name__)

STOP_TIMEOUT_S: Final = 15.0
_POLL_S: Final = 0.02

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Gateway:
    """A running gateway: ``start`` and ``stop`` inside one event loop."""

    settings: Settings
    counts: Counts = field(default_factory=Counts)
    board: Board = field(default_factory=Board)

    def __post_init__(self) -> None:
        self._forwarder = Forwarder(
            self.settings.kafka, self.settings.identity(), self.settings.beacon_grace_s
        )
        self._intake = Intake(self.settings, self._forwarder, self.counts, self.board)
        self._relay = Relay(self.settings.kafka, self.settings.host, self.settings.token, self._forwarder)
        self._under_way = 0
        self._stopping = False
        self._site: web.TCPSite | None = None
        cert = self.settings.tls_cert
        self.certificate = Certificate(cert, self.settings.tls_key) if cert is not None else None
        self._rpc = RpcServer(self.settings, self._intake, self.certificate)
        self._connections = Connections()
        self._tasks: list[asyncio.Task[None]] = []
        # aiohttp would decompress without a limit.
        self._runner = web.AppRunner(
            self._app(), access_log=None, auto_decompress=False, shutdown_timeout=1.0, handle_signals=False
        )

    async def start(self) -> None:
        """Listen and begin to connect to Kafka. Raises GatewayError when the port is taken."""
        await self._runner.setup()
        context = self.certificate.context if self.certificate is not None else None
        self._site = web.TCPSite(self._runner, self.settings.host, self.settings.port, ssl_context=context)
        try:
            await self._site.start()
            await self._rpc.start()
        except OSError as error:
            await self._runner.cleanup()
            raise GatewayError(
                f"the gateway cannot listen on {self.settings.host}:{self.settings.port}: {error.strerror}; "
                "stop what listens there, or choose another port"
            ) from None
        except GatewayError:
            await self._runner.cleanup()
            raise
        self._forwarder.start()
        self._tasks.append(asyncio.ensure_future(self._connections.watch(self._runner.server)))
        if self.certificate is not None:
            self._tasks.append(asyncio.ensure_future(self.certificate.renew()))
        _log.info("gateway %s listens on %s%s", self.settings.identity(), self._site.name, self._rpc.listens)
        if self.settings.otlp_token is None and not is_loopback(self.settings.host):
            _log.warning("whoever reaches this gateway may write; %s asks for a token", ENV_OTLP_TOKEN)

    async def stop(self) -> None:
        """Finish the requests under way, flush to Kafka, close."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        if self._site is not None:
            await self._site.stop()
        await self._relay.close()
        await self._rpc.stop(STOP_TIMEOUT_S)
        # aiohttp's own shutdown drops the rest of a body that is still coming.
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while self._under_way and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_S)
        await self._runner.cleanup()
        self._intake.close()
        await self._forwarder.stop()
        _log.info("gateway stopped: %s", dataclasses.asdict(self.counts))

    def report(self) -> dict[str, Any]:
        """What /readyz says: whether Kafka answers and there is room."""
        problem = self._forwarder.problem or self._intake.full
        return {"ready": problem is None, "problem": problem}

    def stuck(self) -> str | None:
        """Why only a restart helps."""
        return "what connects to Kafka ended" if self._forwarder.ended else None

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
            self._intake.authorize(request.headers.get("Authorization", ""))
            content_type = _content_type(request)
            encoding = request.headers.get("Content-Encoding", "")
            with self._intake.reserve() as reservation:
                raw = await body.read(request, self.settings.max_body_bytes, reservation)
                messages = await self._intake.take(signal, content_type, raw, encoding, reservation)
            return _answer(signal, messages, content_type)

        return handle

    @web.middleware
    async def _track(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._under_way += 1
        try:
            with self._intake.meter.request(request.path, HTTP) as one:
                response = await handler(request)
                one.status = response.status
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
        self._intake.refused(refusal, f"{request.path} from {request.remote}")
        retry_after_s = refusal.retry_after_s
        headers = None if retry_after_s is None else {"Retry-After": str(retry_after_s)}
        return _status_response(request, refusal.status, refusal.code, refusal.message, headers)

    async def _healthz(self, request: web.Request) -> web.Response:
        stuck = self.stuck()
        told = {"status": "ok"} if stuck is None else {"status": "stuck", "reason": stuck}
        return web.json_response({**told, **dataclasses.asdict(self.counts)}, status=503 if stuck else 200)

    async def _readyz(self, request: web.Request) -> web.Response:
        return readyz(self.report())


def _content_type(request: web.Request) -> str:
    if request.content_type not in (PROTOBUF, JSON):
        raise UnsupportedError(f"Content-Type: expected {PROTOBUF} or {JSON}, got {request.content_type!r}")
    if request.content_type == JSON and (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
        raise UnsupportedError(f"Content-Type: expected JSON in utf-8, got charset {request.charset!r}")
    return request.content_type


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
