"""Starts and stops the endpoint: engine, socket, signals."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from pathlib import Path
from typing import Final

from aiohttp import web

from stream.clickhouse.engine import Engine
from stream.clickhouse.errors import EndpointError
from stream.clickhouse.guard import is_loopback
from stream.clickhouse.limits import Limits
from stream.clickhouse.running import Runner
from stream.clickhouse.server import Server
from stream.telemetry.board import Board
from stream.telemetry.part import Part
from stream.telemetry.server import HOST

SERVICE: Final = "trainwarden-clickhouse"

_LOG = logging.getLogger(__name__)


def run(
    *,
    data_dir: Path,
    host: str = "127.0.0.1",
    port: int = 8123,
    password: str | None = None,
    limits: Limits | None = None,
    health_port: int | None = None,
    health_host: str = HOST,
) -> None:
    """Serve ClickHouse's HTTP interface until SIGTERM or SIGINT; tables live under `data_dir`.

    /healthz and /readyz are on `port`; with a `health_port` they are there, too, and so is /metrics.

    Raises EndpointError when the address is taken, when another endpoint serves `data_dir`, and when other
    machines reach the address and there is no password; HealthError for the port of health.
    """
    if password is None and not is_loopback(host):
        raise EndpointError(
            f"host {host}: other machines reach it, so a password is needed; or use 127.0.0.1"
        )
    health = (health_port, health_host)
    asyncio.run(_serve(data_dir, _listen(host, port), host, password, limits or Limits(), health))


def _listen(host: str, port: int) -> socket.socket:
    """The listening socket first: a taken port is told before the engine is opened."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=256)
    except OSError as error:
        where = f"ClickHouse endpoint: cannot listen on {host}:{port}"
        raise EndpointError(f"{where}: {os.strerror(error.errno or 0)}; choose another port") from None


async def _serve(
    data_dir: Path,
    listener: socket.socket,
    host: str,
    password: str | None,
    limits: Limits,
    health: tuple[int | None, str],
) -> None:
    stop = asyncio.Event()
    engine = await asyncio.to_thread(Engine, data_dir, limits)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = Runner(engine, limits)
    board = Board()
    server = Server(
        engine, runner, limits, engine.spool, password=password, loopback=is_loopback(host), board=board
    )
    part = Part(SERVICE, server.report, board=board)
    web_runner = web.AppRunner(
        server.app(),
        handler_cancellation=True,
        auto_decompress=False,
        access_log=None,
        shutdown_timeout=limits.stop_timeout_s,
    )
    await web_runner.setup()
    await web.SockSite(web_runner, listener).start()
    _LOG.info("ClickHouse %s serves %s on %s:%d", engine.version, data_dir, *listener.getsockname()[:2])
    try:
        await part.listen(*health)
        part.export()
        await stop.wait()
    finally:
        # Before the engine: it is asked for its memory.
        await part.close()
        await web_runner.cleanup()
        await _close(runner, engine)


async def _close(runner: Runner, engine: Engine) -> None:
    if await runner.stop():
        await asyncio.to_thread(engine.close)
        return
    _LOG.warning(
        "a query would not end; leaving without closing the engine (what was acknowledged is on disk)"
    )
    os._exit(1)
