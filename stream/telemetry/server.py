"""GET /healthz (would a restart help), /readyz (can it work now), /metrics (Prometheus), on the loopback."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import web

HOST: Final = "127.0.0.1"
PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"

Report = Mapping[str, Any]
"""``ready`` (bool) and whatever explains it."""

Ask = Callable[[], "Report | Awaitable[Report]"]
"""A function of the event loop, or a coroutine function."""


class HealthError(RuntimeError):
    """The health port cannot be listened on."""


class HealthServer:
    """Serves what these functions say at the moment of asking.

    ``stuck``: why the process had better be started anew, None while it had not. ``page``: the metrics.
    """

    def __init__(
        self,
        port: int,
        report: Ask,
        *,
        host: str = HOST,
        stuck: Callable[[], str | None] = lambda: None,
        page: Callable[[], bytes | None] = lambda: None,
    ) -> None:
        self._host, self._port = host, port
        self._report, self._stuck, self._page = report, stuck, page
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen. Raises HealthError when the port is in use."""
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self.stop()
            why = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
            where = f"health port {self._host}:{self._port}"
            raise HealthError(f"{where}: {why}; choose another --health-port") from None

    async def stop(self) -> None:
        """Close the port."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _healthz(self, request: web.Request) -> web.Response:
        return healthz(self._stuck())

    async def _readyz(self, request: web.Request) -> web.Response:
        return readyz(await told(self._report))

    async def _metrics(self, request: web.Request) -> web.Response:
        # In a thread: Prometheus must not hold up what it looks at.
        page = await asyncio.to_thread(self._page)
        if page is None:
            return web.Response(status=503, text="no metrics yet, or OTEL_SDK_DISABLED is set\n")
        return web.Response(body=page, headers={"Content-Type": PROMETHEUS})


async def told(report: Ask) -> Report:
    """What it says."""
    found = report()
    return await found if inspect.isawaitable(found) else found


def healthz(stuck: str | None) -> web.Response:
    """The answer to a probe of liveness: that it comes at all says that the event loop turns."""
    if stuck is None:
        return web.json_response({"status": "ok"})
    return web.json_response({"status": "stuck", "reason": stuck}, status=503)


def readyz(report: Report) -> web.Response:
    """The answer to a probe of readiness."""
    return web.json_response(dict(report), status=200 if report["ready"] else 503)
