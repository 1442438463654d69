"""One Faust app in this process: checks first, then agents, until a signal or a failure."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from stream.faustkit.absent import watch_counts
from stream.faustkit.app import create_app
from stream.faustkit.consume import Host
from stream.faustkit.health import readiness
from stream.faustkit.outlet import Outlet
from stream.faustkit.preflight import BrokerTraits, inspect
from stream.faustkit.repeats import Repeats
from stream.faustkit.standing import EVERY_S, Lag
from stream.faustkit.stuck import AFTER_S, Stuck
from stream.telemetry.part import Part
from stream.telemetry.server import HOST

GRACE_S: Final = 5.0
"""How long a stopping worker waits for what is on its way to the broker."""
STOP_TIMEOUT_S: Final = 5.0
EXIT_STUCK: Final = 3
# mode logs for a service under the name of the module that defines its class.
_NOISY: Final = ("faust", "mode", "aiokafka", "asyncio", "stream.faustkit.transport")

log = logging.getLogger(__name__)


class WorkerCrashError(RuntimeError):
    """Faust gave up; the message says why. Start the worker again: it goes on where it committed."""


@dataclass(frozen=True)
class Job:
    """What to run: the consumer group's id, and the function that attaches the agents.

    ``prepare`` runs before that, once broker and topics are there. ``leisure_ms``: how late it may notice
    new records at a broker that has to be asked again and again, where nobody waits for it.
    ``stuck_after_s``: how long it may read nothing of what piles up before it says so; 0: for ever.
    """

    id: str
    kafka: str
    data_dir: Path
    attach: Callable[[Any, Host], None]
    health_port: int | None = None
    prepare: Callable[[Host], Awaitable[None]] | None = None
    leisure_ms: int = 0
    health_host: str = HOST
    stuck_after_s: float = AFTER_S

    def suited(self, traits: BrokerTraits) -> BrokerTraits:
        """The broker's habits for this job."""
        if not self.leisure_ms or not traits.haste:
            return traits
        return replace(traits, fetch_wait_ms=self.leisure_ms, haste=False)


class _Worker:
    def __init__(self, job: Job) -> None:
        self.job = job
        self.app: Any = None
        self.waits_for = "the broker and its topics"
        self.signalled = asyncio.Event()
        self.every_s = min(EVERY_S, job.stuck_after_s / 4 or EVERY_S)
        self.stuck = Stuck(job.stuck_after_s, self.every_s, time.monotonic)
        self.part = Part(job.id, self.report, lambda: self.stuck.reason)

    def report(self) -> dict[str, Any]:
        if self.app is None:
            return {"ready": False, "reason": f"waiting for {self.waits_for}", "partitions": {}}
        return readiness(self.app)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.signalled.set)
        try:
            await self.part.listen(self.job.health_port, self.job.health_host)
            await self._until_signalled(self._work())
        finally:
            await self.part.close()

    async def _until_signalled(self, work: Any) -> None:
        working = asyncio.ensure_future(work)
        signalled = asyncio.ensure_future(self.signalled.wait())
        await asyncio.wait({working, signalled}, return_when=asyncio.FIRST_COMPLETED)
        signalled.cancel()
        if not working.done():
            working.cancel()
        try:
            await working
        except asyncio.CancelledError:
            log.info("%s: stopped", self.job.id)

    async def _work(self) -> None:
        site = await inspect(self.job.kafka)
        outlet = Outlet(self.job.kafka, site.partitions, self.part.board)
        await outlet.start()
        try:
            host = Host(outlet, self.part.board)
            try:
                if self.job.prepare is not None:
                    await self.job.prepare(host)
                await self._consume(host, self.job.suited(site.traits))
            finally:
                await host.close()
        finally:
            await outlet.stop()

    async def _consume(self, host: Host, traits: BrokerTraits) -> None:
        app = create_app(self.job.id, self.job.kafka, data_dir=self.job.data_dir, traits=traits)
        watch_counts(app, host.outlet.partitions, host.fail)
        self.job.attach(app, host)
        grace_s, following = GRACE_S, None
        try:
            self.waits_for = "partitions"
            await app.start()
            self.app = app
            log.info("%s: started, waiting for partitions", self.job.id)
            # Modules and rules stay for good: the collector need not look through them again and again.
            gc.collect()
            gc.freeze()
            lag = Lag(app, self.part.board, self.stuck, host.held_up, self.every_s)
            following = asyncio.ensure_future(lag.follow())
            self.part.export()
            ended = asyncio.ensure_future(app.wait_until_stopped())
            await asyncio.wait({ended, host.failed}, return_when=asyncio.FIRST_COMPLETED)
            ended.cancel()
            if host.failed.done():
                grace_s = 0.0
                host.failed.result()
            raise WorkerCrashError(f"{self.job.id}: Faust stopped: {app.crash_reason!r}")
        finally:
            if following is not None:
                following.cancel()
            await _stop(app, grace_s, 0 if self.signalled.is_set() else EXIT_STUCK)


async def _stop(app: Any, grace_s: float, exit_code: int) -> None:
    """Stop Faust, which waits for records that were begun; after ``grace_s`` they are given up."""
    stopping = asyncio.ensure_future(app.stop())
    await asyncio.wait({stopping}, timeout=grace_s)
    deadline = asyncio.get_running_loop().time() + STOP_TIMEOUT_S
    while not stopping.done():
        app.consumer.unacked.clear()
        await asyncio.wait({stopping}, timeout=0.2)
        if asyncio.get_running_loop().time() > deadline:
            # Faust swallows cancellation. Nothing unfinished was committed, so this loses nothing.
            log.warning("Faust did not stop within %.0f s, ending the process", STOP_TIMEOUT_S)
            logging.shutdown()
            os._exit(exit_code)
    stopping.result()


def run_job(job: Job) -> None:
    """Block until SIGTERM or SIGINT. Raises PreflightError and the errors of the modules beside this."""
    if not logging.getLogger().handlers:
        logging.basicConfig(
            level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
        )  # stderr
    for handler in logging.getLogger().handlers:
        handler.addFilter(Repeats("aiokafka"))
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.getLogger().level, logging.WARNING))
    asyncio.run(_Worker(job).run())
