"""Host and process through psutil, under the names of vocabulary/metrics.py."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil

SHM = Path("/dev/shm")


class ResourceProbe:
    """``sample()`` gives what can be read; rates need a sample before and are left out of the first."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic, *, host: bool = True) -> None:
        self._now_s, self._host = now_s, host
        self._process = psutil.Process()
        self._before: tuple[float, dict[str, float]] | None = None
        # The first call has nothing to compare with and returns 0.0.
        psutil.cpu_percent()
        self._process.cpu_percent()

    def sample(self) -> dict[str, float]:
        """Names and values, of the process and, where asked for, of the host."""
        values = self._of_process()
        if self._host:
            values |= _of_host() | self._rates()
        return values

    def _of_process(self) -> dict[str, float]:
        process, values = self._process, {}
        with process.oneshot():
            for name, read in (
                ("process.cpu.utilization", lambda: process.cpu_percent() / 100),
                ("process.memory.usage", lambda: process.memory_info().rss),
                ("process.open_file_descriptors", process.num_fds),
                ("process.threads", process.num_threads),
            ):
                try:
                    values[name] = float(read())
                except (psutil.Error, OSError, AttributeError):
                    continue
        return values

    def _rates(self) -> dict[str, float]:
        now, counters = self._now_s(), _counters()
        before, self._before = self._before, (now, counters)
        if before is None or now <= before[0]:
            return {}
        then, old = before
        # A counter that went back (device removed, wrapped) is no rate.
        return {
            name: (value - old[name]) / (now - then)
            for name, value in counters.items()
            if name in old and value >= old[name]
        }


def _of_host() -> dict[str, float]:
    memory = psutil.virtual_memory()
    values = {
        "system.cpu.utilization": psutil.cpu_percent() / 100,
        "system.memory.usage": float(memory.used),
        "system.memory.utilization": memory.percent / 100,
    }
    for name, place in (("system.filesystem.free", Path.cwd), ("system.shm.free", lambda: SHM)):
        try:
            stat = os.statvfs(place())
        except OSError:
            continue
        values[name] = float(stat.f_bavail * stat.f_frsize)
    return values


def _counters() -> dict[str, float]:
    counters: dict[str, float] = {}
    try:
        disk, network = psutil.disk_io_counters(), psutil.net_io_counters()
    except (OSError, RuntimeError, ValueError):
        return counters
    if disk is not None:
        counters["system.disk.io.read"] = float(disk.read_bytes)
        counters["system.disk.io.write"] = float(disk.write_bytes)
    if network is not None:
        counters["system.network.io.receive"] = float(network.bytes_recv)
        counters["system.network.io.transmit"] = float(network.bytes_sent)
    return counters
