"""``trainwarden gateway``: OTLP over HTTP and gRPC in, Kafka out.

Reading order: ``settings``, ``server`` (HTTP requests and answers), ``rpc`` (the same over gRPC), ``intake``
(the way both share), ``body`` and ``connections`` (limits), ``signals``, ``split`` (what becomes a Kafka
message), ``forward`` (the producer and the beacons), ``relay`` (commands for trainers that cannot reach
Kafka), ``tape`` (what it answers from), ``tls``, ``meter``, ``errors``.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import Final

from aiohttp.http_exceptions import HttpProcessingError

from stream.gateway.connections import allow_many
from stream.gateway.errors import GatewayError
from stream.gateway.forward import BEACON_GRACE_S
from stream.gateway.server import Gateway
from stream.gateway.settings import MAX_BODY_BYTES, MAX_BYTES_UNDER_WAY, Settings
from stream.telemetry.part import Part
from stream.telemetry.server import HOST

SERVICE: Final = "trainwarden-gateway"

__all__ = ["MAX_BODY_BYTES", "Gateway", "GatewayError", "Settings", "run"]


def run(
    *,
    kafka: str,
    host: str = "127.0.0.1",
    port: int = 4318,
    grpc_port: int | None = None,
    max_body_bytes: int = MAX_BODY_BYTES,
    max_bytes_under_way: int = MAX_BYTES_UNDER_WAY,
    beacon_grace_s: float = BEACON_GRACE_S,
    token: str | None = None,
    otlp_token: str | None = None,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    health_port: int | None = None,
    health_host: str = HOST,
) -> None:
    """Serve until SIGTERM or SIGINT; Kafka may come later.

    Without ``grpc_port`` there is no OTLP over gRPC; /healthz and /readyz are on ``port``, with a
    ``health_port`` they are there, too, and so is /metrics. Raises GatewayError when a port is taken or the
    certificate cannot be used, HealthError for the port of health.
    """
    _log_to_stderr()
    allow_many()
    settings = Settings(
        kafka, host, port, grpc_port, max_body_bytes=max_body_bytes,
        max_bytes_under_way=max_bytes_under_way, beacon_grace_s=beacon_grace_s, token=token,
        otlp_token=otlp_token, tls_cert=tls_cert, tls_key=tls_key,
    )  # fmt: skip
    asyncio.run(_serve(settings, health_port, health_host))


async def _serve(settings: Settings, health_port: int | None, health_host: str) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    gateway = Gateway(settings)
    part = Part(SERVICE, gateway.report, gateway.stuck, gateway.board)
    await part.listen(health_port, health_host)
    try:
        await gateway.start()
        try:
            part.export()
            await stop.wait()
            # First: its own metrics may come in here, too.
            await part.close()
        finally:
            await gateway.stop()
    finally:
        await part.close()


def _log_to_stderr() -> None:
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # We say ourselves, once, that Kafka is away; aiokafka would say it at every attempt.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    # Whoever does not speak HTTP is answered 400; a traceback each would fill the log.
    logging.getLogger("aiohttp.server").addFilter(_is_ours)


def _is_ours(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
