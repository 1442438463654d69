"""One sample of host, container and process, under the names of vocabulary/host_metrics.py."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emitter.probes import cgroup, host
from emitter.probes.infiniband import InfinibandProbe
from emitter.probes.patient import Patient
from emitter.probes.process import ProcessProbe
from emitter.probes.rates import Rates


class ResourceProbe:
    """``sample()`` gives what can be read; rates need a sample before and are left out of the first.

    ``host``: whether this process speaks for its host and container. ``root`` is another root of /proc and
    /sys, for tests. ``told`` hears once of each thing that may not be read.
    """

    def __init__(
        self,
        now_s: Callable[[], float] = time.monotonic,
        *,
        host: bool = True,
        root: Path = Path("/"),
        told: Callable[[str], None] = lambda trouble: None,
    ) -> None:
        self._process, self._process_rates = ProcessProbe(told), Rates(now_s)
        self._process_rates.of(self._process.counters())
        self._host = _Host(now_s, root) if host else None

    def sample(self) -> dict[str, float]:
        """Names and values, of the process and, where asked for, of host and container."""
        found = self._process.gauges() | self._process_rates.of(self._process.counters())
        return found if self._host is None else found | self._host.sample()

    def ports(self) -> list[dict[str, Any]]:
        """One sample a port of InfiniBand."""
        ports = self._host and self._host.ports
        return ports.ask() or [] if ports else []


class _Host:
    """What one process samples for all of its node."""

    def __init__(self, now_s: Callable[[], float], root: Path) -> None:
        self._root = root
        self._cpus = host.Cpus()
        self._cgroup = cgroup.CgroupProbe(root)
        self._rates, self._busy, self._groups = Rates(now_s), Rates(now_s), Rates(now_s)
        self._filesystem = Patient("filesystem", host.filesystem)
        adapters = root / "sys/class/infiniband"
        ports = InfinibandProbe(now_s, adapters).sample
        self.ports = Patient("ports", ports) if adapters.is_dir() else None

    def sample(self) -> dict[str, float]:
        found = self._cpus.utilization() | host.memory(self._root) | host.shared_memory()
        found |= self._filesystem.ask() or {}
        counters, at_work = host.counters(self._root)
        found |= self._rates.of(counters) | self._cgroup.gauges()
        busy = self._busy.of(at_work)
        if busy:
            found["system.disk.io_time"] = max(busy.values())
        return found | cgroup.throttled(self._groups.of(self._cgroup.counters()))
