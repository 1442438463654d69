"""The trainer process itself: CPU, memory, disk, descriptors, threads."""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import Any

import psutil

from emitter._guard import logger


class ProcessProbe:
    """``gauges()`` as they are, ``counters()`` in their growth per second; what is refused is left out."""

    def __init__(self, told: Callable[[str], None] = lambda trouble: None) -> None:
        self._told = told
        self._process = psutil.Process()
        self._refused: set[str] = set()

    def gauges(self) -> dict[str, float]:
        """Memory, descriptors and their limit, threads."""
        with self._process.oneshot():
            found = self._read(self._process.memory_info, _memory)
            found |= self._read(self._process.num_threads, lambda count: {"process.thread.count": count})
        found |= self._read(
            self._process.num_fds, lambda count: {"process.unix.file_descriptor.count": count}
        )
        return found | _limit()

    def counters(self) -> dict[str, float]:
        """Seconds of CPU, bytes of disk."""
        found = self._read(self._process.cpu_times, _cpu)
        return found | self._read(self._process.io_counters, _disk)

    def _read(self, call: Callable[[], Any], shape: Callable[[Any], dict[str, float]]) -> dict[str, float]:
        try:
            return {name: float(value) for name, value in shape(call()).items()}
        except (psutil.Error, OSError, AttributeError) as error:
            name = getattr(call, "__name__", "")
            if name not in self._refused:
                self._refused.add(name)
                logger.debug("%s of this process is not sampled: %s", name, error)
                self._told(f"{name}: {error}")
            return {}


def _memory(found: Any) -> dict[str, float]:
    return {"process.memory.usage": found.rss, "process.memory.virtual": found.vms}


def _cpu(found: Any) -> dict[str, float]:
    return {"process.cpu.utilization": found.user + found.system}


def _disk(found: Any) -> dict[str, float]:
    return {"process.disk.io.read": found.read_bytes, "process.disk.io.write": found.write_bytes}


def _limit() -> dict[str, float]:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return {} if soft == resource.RLIM_INFINITY else {"process.unix.file_descriptor.limit": float(soft)}
