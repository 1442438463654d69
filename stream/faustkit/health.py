"""GET /healthz (the loop turns) and /readyz (partitions are assigned, agents run), on loopback."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiohttp import web

HOST: Final = "127.0.0.1"

Report = Mapping[str, Any]
"""``ready`` (bool) and whatever explains it."""


class HealthError(RuntimeError):
    """The health port cannot be listened on."""


class HealthServer:
    """Serves what ``report`` says at the moment of asking."""

    def __init__(self, port: int, report: Callable[[], Report]) -> None:
        self._port = port
        self._report = report
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen. Raises HealthError when the port is in use."""
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, HOST, self._port).start()
        except OSError as error:
            await self.stop()
            why = os.strerror(error.errno or 0)
            where = f"health port {HOST}:{self._port}"
            raise HealthError(f"{where}: {why}; choose another --health-port") from None

    async def stop(self) -> None:
        """Close the port."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _readyz(self, request: web.Request) -> web.Response:
        report = dict(self._report())
        return web.json_response(report, status=200 if report["ready"] else 503)


def readiness(app: Any) -> dict[str, Any]:
    """The report of a started Faust app: assigned partitions by topic, and agents that do not run."""
    partitions: dict[str, list[int]] = {}
    for topic, partition in sorted(app.consumer.assignment()) if app.started else ():
        partitions.setdefault(topic, []).append(partition)
    idle = sorted(name for name, agent in app.agents.items() if not agent.actor_tracebacks())
    reason = None
    if not partitions:
        reason = "no partitions assigned yet"
    elif app.rebalancing:
        reason = "partitions are being assigned"
    elif idle:
        reason = f"agents that do not run: {', '.join(idle)}"
    return {"ready": reason is None, "reason": reason, "partitions": partitions}
