"""Samples host, container and process on a thread of its own. GPUs have their own, see gpu.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from emitter._clock import Clock
from emitter._queue import Queue
from emitter.probes.resource import ResourceProbe
from emitter.probes.ticker import Ticker
from emitter.vocabulary import events

if TYPE_CHECKING:
    from emitter.probes.gc_pauses import GcProbe


class Sampler:
    """Offers one ``train.resource`` for host and process and one for each network port, every ``every_s``.

    ``host`` says whether this process speaks for its host (one per node does); ``pauses`` adds those of
    the garbage collector.
    """

    def __init__(
        self, queue: Queue, clock: Clock, every_s: float, *, host: bool, pauses: GcProbe | None = None
    ) -> None:
        self._queue, self._clock, self._pauses = queue, clock, pauses
        self._resource = ResourceProbe(host=host, told=self._tell)
        self._ticker = Ticker("sampler", every_s, self.once)

    def start(self) -> None:
        """Begin sampling in the background."""
        if self._pauses is not None:
            self._pauses.start()
        self._ticker.start()

    def close(self) -> None:
        """Stop; a call that hangs is left behind."""
        if self._pauses is not None:
            self._pauses.close()
        self._ticker.close()

    def once(self) -> None:
        """Take one sample of everything."""
        pauses = {} if self._pauses is None else self._pauses.sample()
        self._offer(self._resource.sample() | pauses)
        for port in self._resource.ports():
            self._offer(port)

    def _tell(self, trouble: str) -> None:
        values = {f"{events.PROBE_PREFIX}process": trouble}
        self._queue.offer(self._clock.monotonic_ns(), events.EMITTER_REPORT, values, rare=True)

    def _offer(self, values: Mapping[str, Any]) -> None:
        self._queue.offer(self._clock.monotonic_ns(), events.RESOURCE, values)
