"""Whether the kernel killed for memory: the control group's counter, and the kernel's log."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Mapping
from typing import Any, Final

from emitter.probes.cgroup import CgroupProbe
from emitter.probes.kernel_log import KernelLog

KILLS: Final = "container.memory.oom_kills"
_KILLED: Final = re.compile(r"Killed process (\d+)")


class Killer:
    """``begin`` before a launch; ``kills`` and ``said`` after its end. ``watch`` meanwhile."""

    def __init__(self) -> None:
        self._group = CgroupProbe()
        self._lines: deque[str] = deque(maxlen=100)
        self._log = KernelLog(self._take, 100)
        self._before = 0.0

    def begin(self) -> None:
        """What was before does not count."""
        self._log.turn()
        self._lines.clear()
        self._before = self._group.gauges().get(KILLS, 0.0)

    def kills(self) -> float:
        """How many processes of the control group were killed for memory since ``begin``."""
        return max(0.0, self._group.gauges().get(KILLS, 0.0) - self._before)

    def said(self, pids: Collection[int]) -> str | None:
        """The kernel's line that names one of these processes."""
        self._log.turn()
        for line in self._lines:
            found = _KILLED.search(line)
            if found is not None and int(found[1]) in pids:
                return line
        return None

    def _take(self, line: str, severity: int, attributes: Mapping[str, Any]) -> None:
        if _KILLED.search(line):
            self._lines.append(line)
