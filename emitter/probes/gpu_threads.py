"""The threads that speak to the GPU driver: one samples, one waits for Xid errors."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from emitter._guard import logger
from emitter._loading import loading
from emitter._records import ERROR
from emitter.probes.gpu_choice import Choice
from emitter.probes.logs import Emit
from emitter.probes.ticker import Ticker
from emitter.probes.xid_echo import XidEchoes

if TYPE_CHECKING:
    from emitter.probes.gpu import GpuProbe
    from emitter.probes.xid import XidProbe

LIBRARY: Final = "libnvidia-ml.so.1"
PATIENCE_S: Final = 60.0
"""A sample that takes longer is reported: the driver hangs."""


class GpuThreads:
    """Offers one ``train.resource`` per GPU and MIG instance every ``every_s``, and Xid errors as they come.

    nvidia-ml-py takes a tenth of a second to import: that happens in the first of the threads, and only where
    the driver's library is.
    """

    def __init__(
        self,
        choice: Choice,
        log: Emit,
        offer: Callable[[dict[str, Any]], None],
        every_s: float,
        *,
        xids: bool,
        echoes: XidEchoes,
    ) -> None:
        self._choice, self._log, self._offer, self._echoes = choice, log, offer, echoes
        self._sampler = Ticker("gpus", every_s, self._sample, self._close)
        self._waiter = Ticker("xid", 0.0, self._wait, self._close_xids) if xids else None
        self._lock = threading.Lock()
        self._gpus: GpuProbe | None = None
        self._xids: XidProbe | None = None
        self._told = False

    def start(self) -> None:
        """Begin, where there is a driver."""
        try:
            ctypes.CDLL(LIBRARY)
        except OSError as error:
            logger.debug("no NVIDIA GPUs are sampled: %s", error)
            return
        for ticker in (self._sampler, self._waiter):
            if ticker is not None:
                ticker.start()

    def close(self) -> None:
        """Stop both; a call that hangs in the driver is left behind."""
        if self._xids is not None:
            self._xids.flush()
        for ticker in (self._sampler, self._waiter):
            if ticker is not None:
                ticker.close()

    def check(self) -> None:
        """Say once that the driver does not answer. For another thread."""
        stuck_s = self._sampler.stuck_s()
        if not self._told and stuck_s > PATIENCE_S:
            self._told = True
            self._log(
                f"NVML has not answered for {stuck_s:.0f} s: the driver or a GPU may hang; GPUs are not "
                "sampled until it does", ERROR, {},
            )  # fmt: skip

    def _probe(self) -> GpuProbe:
        with self._lock:
            if self._gpus is None:
                with loading:
                    from emitter.probes.gpu import GpuProbe

                self._gpus = GpuProbe(self._choice, self._log)
            return self._gpus

    def _sample(self) -> None:
        probe = self._probe()
        for values in probe.sample():
            self._offer(values)
        if not any(not gpu.lost for gpu in probe.found()):
            self._sampler.close()

    def _wait(self) -> None:
        if self._xids is None:
            with loading:
                from emitter.probes.xid import XidProbe

            self._xids = XidProbe(self._probe(), self._log, self._echoes)
        self._xids.turn()
        if self._xids.off and self._waiter is not None:
            self._waiter.close()

    def _close(self) -> None:
        if self._gpus is not None:
            self._gpus.close()

    def _close_xids(self) -> None:
        if self._xids is not None:
            self._xids.close()
