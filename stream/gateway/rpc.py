"""OTLP over gRPC: the three services, whose requests go the way of those over HTTP.

A method takes the one message of its request as a stream: so it can ask for the token, and for room, before
it reads anything. Source: https://opentelemetry.io/docs/specs/otlp/#otlpgrpc
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc
from grpc import aio

from stream.gateway.body import READ_TIMEOUT_S, Reservation
from stream.gateway.errors import (
    PROTOBUF,
    BusyError,
    GatewayError,
    MalformedError,
    RefusedError,
    TooSlowError,
    details,
)  # fmt: skip
from stream.gateway.intake import Intake
from stream.gateway.meter import GRPC, Request
from stream.gateway.settings import Settings
from stream.gateway.signals import SIGNALS, Signal
from stream.gateway.tls import Certificate

MOST_CALLS: Final = 256
"""Calls under way at once; what comes on top is told to come again."""

DETAILS: Final = "grpc-status-details-bin"
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}

Method = Callable[[Any, Any], Awaitable[bytes]]


class RpcServer:
    """The server, where a port is set; otherwise ``start`` and ``stop`` do nothing."""

    def __init__(self, settings: Settings, intake: Intake, certificate: Certificate | None) -> None:
        self._settings, self._intake, self._certificate = settings, intake, certificate
        self._calls = 0
        self._server: Any = None
        self.listens = ""
        """For the log: where, once it does."""

    async def start(self) -> None:
        """Listen. Raises GatewayError when the port is taken."""
        port = self._settings.grpc_port
        if port is None:
            return
        self._server = aio.server(options=_options(self._settings.max_body_bytes))
        self._server.add_generic_rpc_handlers([self._service(signal) for signal in SIGNALS])
        host = self._settings.host
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if self._certificate is None:
                self._server.add_insecure_port(place)
            else:
                self._server.add_secure_port(place, self._certificate.credentials())
        except RuntimeError:
            raise GatewayError(
                f"the gateway cannot listen on {place} for gRPC; stop what listens there, or choose another "
                "port"
            ) from None
        await self._server.start()
        self.listens = f", for gRPC on {place}"

    async def stop(self, grace_s: float) -> None:
        """Take no more calls, and let those under way end."""
        if self._server is not None:
            await self._server.stop(grace_s)

    def _service(self, signal: Signal) -> Any:
        method = grpc.stream_unary_rpc_method_handler(self._method(signal))
        return grpc.method_handlers_generic_handler(signal.service, {"Export": method})

    def _method(self, signal: Signal) -> Method:
        async def export(_: Any, context: Any) -> bytes:
            with self._intake.meter.request(signal.path, GRPC) as one:
                return await self._answer(signal, context, one)

        return export

    async def _answer(self, signal: Signal, context: Any, one: Request) -> bytes:
        try:
            answer = await self._export(signal, context)
        except RefusedError as refusal:
            one.status = _CODES[refusal.code].name
            self._intake.refused(refusal, f"{signal.service} from {context.peer()}")
            await context.abort(_CODES[refusal.code], refusal.message, ((DETAILS, details(refusal)),))
            raise
        one.status = grpc.StatusCode.OK.name
        return answer

    async def _export(self, signal: Signal, context: Any) -> bytes:
        metadata = dict(context.invocation_metadata() or ())
        self._intake.authorize(str(metadata.get("authorization", "")))
        if self._calls >= MOST_CALLS:
            raise BusyError(f"{self._calls} calls are under way; send again later")
        self._calls += 1
        try:
            with self._intake.reserve() as reservation:
                return await self._take(signal, context, reservation)
        finally:
            self._calls -= 1

    async def _take(self, signal: Signal, context: Any, reservation: Reservation) -> bytes:
        raw = await _read(context)
        reservation.grow(len(raw))
        messages = await self._intake.take(signal, PROTOBUF, raw, _encoding(raw), reservation)
        return bytes(signal.answer(messages.rejected, messages.reason).SerializeToString())


async def _read(context: Any) -> bytes:
    """The message as it came."""
    try:
        raw = await asyncio.wait_for(context.read(), READ_TIMEOUT_S)
    except asyncio.TimeoutError:
        raise TooSlowError(f"message: expected all of it within {READ_TIMEOUT_S:g} s") from None
    if raw is aio.EOF:
        raise MalformedError("message: expected one, got none")
    return bytes(raw)


def _encoding(raw: bytes) -> str:
    """How a message is compressed. None of these is the beginning of an OTLP request."""
    if raw[:2] == b"\x1f\x8b":
        return "gzip"
    return "deflate" if len(raw) > 1 and raw[0] == 0x78 and int.from_bytes(raw[:2], "big") % 31 == 0 else ""


def _options(max_bytes: int) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", max_bytes),
        # gRPC would decompress without the limits of ``body``, in the thread of the event loop.
        ("grpc.per_message_decompression", 0),
        # Otherwise two gateways could listen on one port, and each would get some of the calls.
        ("grpc.so_reuseport", 0),
        ("grpc.max_concurrent_streams", MOST_CALLS),
        # Who connects and says nothing, or is gone, does not hold a connection for ever.
        ("grpc.server_handshake_timeout_ms", 10_000),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ]
