"""The thread that samples host, process and GPUs. Its own, because a sick driver may hang a call."""

from __future__ import annotations

import threading

from emitter import _quiet
from emitter._clock import Clock
from emitter._guard import guard
from emitter._queue import Queue
from emitter.probes.gpu import GpuProbe
from emitter.probes.resource import ResourceProbe
from emitter.vocabulary import events


class Sampler:
    """Offers one ``train.resource`` for host and process and one per GPU, every ``every_s``.

    ``host`` says whether this process speaks for its host and its GPUs (one per node does).
    """

    def __init__(self, queue: Queue, clock: Clock, every_s: float, *, host: bool) -> None:
        self._queue, self._clock, self._every_s = queue, clock, every_s
        self._resource = ResourceProbe(host=host)
        self._gpu = GpuProbe() if host else None
        self._stop = threading.Event()

    def start(self) -> None:
        """Begin sampling in the background."""
        threading.Thread(target=self._run, name="trainwarden-sampler", daemon=True).start()

    def close(self) -> None:
        """Stop; a call that hangs in a driver is left behind."""
        self._stop.set()

    def once(self) -> None:
        """Take one sample of everything."""
        self._offer(self._resource.sample())
        for gpu in self._gpu.sample() if self._gpu else ():
            self._offer(gpu)

    def _run(self) -> None:
        _quiet.ours()
        try:
            while not self._stop.is_set():
                with guard:
                    self.once()
                self._stop.wait(self._every_s)
            if self._gpu is not None:
                with guard:
                    self._gpu.close()
        finally:
            _quiet.done()

    def _offer(self, values: dict[str, float]) -> None:
        self._queue.offer(self._clock.monotonic_ns(), events.RESOURCE, values)
