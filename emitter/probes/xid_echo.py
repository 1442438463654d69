"""An Xid error is told twice, by the kernel log and by NVML; the kernel says more, so its words go first."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final

WAIT_S: Final = 2.0
"""NVML's news waits so long for the kernel's, where this process reads that: it looks twice a second."""
SAME_S: Final = 10.0
"""The same code of the same GPU within this time is the same error."""
_MOST: Final = 1024
_LINE: Final = re.compile(r"\bXid \(PCI:(?:[0-9a-fA-F]{0,4})([0-9a-fA-F]{4}:[0-9a-fA-F:]+)[^)]*\): (\d+)\b")


class XidEchoes:
    """``heard`` takes the lines of the kernel log that were sent on, ``told`` is asked about NVML's news."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self.listening: Callable[[], bool] = lambda: False
        """Whether the kernel log is read in this process."""
        self._now_s = now_s
        self._heard: dict[tuple[str, int], float] = {}

    def heard(self, line: str) -> None:
        """Remember an Xid error the kernel told of."""
        found = _LINE.search(line)
        if found is not None:
            if len(self._heard) >= _MOST:
                self._heard.clear()
            self._heard[found[1].lower(), int(found[2])] = self._now_s()

    def told(self, pci: str, xid: int) -> bool:
        """Whether the kernel has just told of it; ``pci`` as ``0000:41:00``."""
        return self._now_s() - self._heard.get((pci, xid), float("-inf")) <= SAME_S

    def until(self) -> float:
        """When what NVML tells now has waited long enough; in seconds of the clock."""
        return self._now_s() + (WAIT_S if self.listening() else 0.0)

    def due(self, moment: float) -> bool:
        """Whether that moment has come."""
        return self._now_s() >= moment
