"""One process of ours: its board, its pages, and its metrics on their way out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from stream.telemetry import process
from stream.telemetry.board import Board
from stream.telemetry.catalogue import HEALTHY, READY
from stream.telemetry.server import HOST, Ask, HealthServer, told

if TYPE_CHECKING:
    from stream.telemetry.provider import Telemetry

LOOK_S: Final = 15.0

log = logging.getLogger(__name__)


class Part:
    """``service``: its service.name; ``report`` and ``stuck``: as for HealthServer."""

    def __init__(
        self,
        service: str,
        report: Ask,
        stuck: Callable[[], str | None] = lambda: None,
        board: Board | None = None,
    ) -> None:
        self.board = board or Board()
        self._service, self._report, self._stuck = service, report, stuck
        self._ready = False
        self._telemetry: Telemetry | None = None
        self._server: HealthServer | None = None
        self._tasks: list[asyncio.Task[None]] = []
        process.watch(self.board)
        self.board.number(READY, lambda: int(self._ready))
        self.board.number(HEALTHY, lambda: int(stuck() is None))

    async def listen(self, port: int | None, host: str = HOST) -> None:
        """Serve the pages, where there is a port for them. Raises HealthError."""
        if port is not None:
            self._server = HealthServer(port, self._report, host=host, stuck=self._stuck, page=self._page)
            await self._server.start()

    def export(self) -> None:
        """Begin to send metrics, where the environment says so; in the background, nobody waits for it."""
        if not self._tasks and self._telemetry is None:
            self._tasks = [asyncio.ensure_future(one) for one in (self._export(), self._look())]

    async def close(self) -> None:
        """Send a last time and close the pages."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        telemetry, self._telemetry = self._telemetry, None
        if telemetry is not None:
            await asyncio.to_thread(telemetry.stop)
        if self._server is not None:
            await self._server.stop()

    def _page(self) -> bytes | None:
        return None if self._telemetry is None else self._telemetry.page()

    async def _export(self) -> None:
        try:
            # Not in a thread: it warns when imported, and elsewhere warnings may be errors at that moment.
            from stream.telemetry import provider

            self._telemetry = provider.start(self._service, self.board)
        except Exception as error:  # noqa: BLE001 - a setting that the SDK does not take must not end what works
            log.error("our own metrics are not exported: %s: %s", type(error).__name__, error)

    async def _look(self) -> None:
        while True:
            try:
                self._ready = bool((await told(self._report))["ready"])
            except Exception as error:  # noqa: BLE001 - what cannot say that it is ready is not
                self._ready = False
                log.debug("not ready: %r", error)
            await asyncio.sleep(LOOK_S)
