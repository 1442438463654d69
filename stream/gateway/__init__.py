"""``trainwarden gateway``: OTLP/HTTP in, Kafka out.

Reading order: ``server`` (requests and answers), ``body`` (limits), ``signals``, ``split`` (what becomes a
Kafka message), ``forward`` (the producer and the beacons), ``relay`` (commands for
trainers that cannot reach Kafka), ``tape`` (what it answers from), ``tls``, ``errors``.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from pathlib import Path

from stream.gateway.errors import GatewayError
from stream.gateway.forward import BEACON_GRACE_S
from stream.gateway.server import MAX_BODY_BYTES, Gateway, Settings

__all__ = ["MAX_BODY_BYTES", "Gateway", "GatewayError", "Settings", "run"]


def run(
    *,
    kafka: str,
    host: str = "127.0.0.1",
    port: int = 4318,
    max_body_bytes: int = MAX_BODY_BYTES,
    beacon_grace_s: float = BEACON_GRACE_S,
    token: str | None = None,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; Kafka may come later.

    Raises GatewayError when the port is taken or the certificate cannot be used.
    """
    _log_to_stderr()
    settings = Settings(
        kafka, host, port, max_body_bytes=max_body_bytes, beacon_grace_s=beacon_grace_s, token=token,
        tls_cert=tls_cert, tls_key=tls_key,
    )  # fmt: skip
    asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    gateway = Gateway(settings)
    await gateway.start()
    try:
        await stop.wait()
    finally:
        await gateway.stop()


def _log_to_stderr() -> None:
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # We say ourselves, once, that Kafka is away; aiokafka would say it at every attempt.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
