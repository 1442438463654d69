"""The host: CPUs, memory, swap, disks, network, shared memory, pressure."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import psutil

from emitter.probes import pressure

SECTOR: Final = 512
"""Bytes that /proc/diskstats calls a sector, whatever the disk does."""
_VIRTUAL: Final = ("loop", "ram", "zram", "dm-", "md", "sr", "fd")
"""Block devices that hold no data of their own, or none that a trainer reads."""


class Cpus:
    """Share of CPU time in use since the call before. psutil's own function would share its memory with
    a trainer that calls it too.
    """

    def __init__(self) -> None:
        self._before = _cpu_times()

    def utilization(self) -> dict[str, float]:
        """Empty where no time has passed."""
        (busy, total), (was_busy, was) = _cpu_times(), self._before
        self._before = busy, total
        if total <= was:
            return {}
        return {"system.cpu.utilization": min(1.0, max(0.0, (busy - was_busy) / (total - was)))}


def _cpu_times() -> tuple[float, float]:
    times = psutil.cpu_times()._asdict()
    # Guests are part of user and nice already.
    total = sum(times.values()) - times.get("guest", 0.0) - times.get("guest_nice", 0.0)
    return total - times["idle"] - times.get("iowait", 0.0), total


def memory(root: Path = Path("/")) -> dict[str, float]:
    """Memory and swap. In use is what the kernel could not give to somebody else."""
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        lines = []
    kib = {name: float(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    total, free = kib.get("MemTotal", 0.0), kib.get("MemAvailable")
    if not total or free is None:
        found = psutil.virtual_memory()
        total, free = found.total / 1024, found.available / 1024
    swap = kib.get("SwapTotal", 0.0) - kib.get("SwapFree", 0.0)
    return {
        "system.memory.usage": (total - free) * 1024,
        "system.memory.limit": total * 1024,
        "system.memory.utilization": (total - free) / total,
        "system.paging.usage": swap * 1024,
    }


def shared_memory(place: Path = Path("/dev/shm")) -> dict[str, float]:
    """Of /dev/shm, where there is one."""
    try:
        stat = os.statvfs(place)
    except OSError:
        return {}
    return {
        "system.shm.free": float(stat.f_bavail * stat.f_frsize),
        "system.shm.usage": float((stat.f_blocks - stat.f_bfree) * stat.f_frsize),
    }


def filesystem(place: Path | None = None) -> dict[str, float]:
    """Where the trainer runs. May hang on a network disk."""
    try:
        stat = os.statvfs(place or Path.cwd())
    except OSError:
        return {}
    found = {"system.filesystem.free": float(stat.f_bavail * stat.f_frsize)}
    used, usable = stat.f_blocks - stat.f_bfree, stat.f_blocks - stat.f_bfree + stat.f_bavail
    if usable > 0:
        found["system.filesystem.utilization"] = used / usable
    if stat.f_files > 0:
        found["system.filesystem.inodes.free"] = float(stat.f_favail)
    return found


def counters(root: Path = Path("/")) -> tuple[dict[str, float], dict[str, float]]:
    """What only grows: bytes and errors of disks and network, seconds stalled; by disk, seconds at work."""
    disks = _diskstats(root)
    found = _network(root) | pressure.stalled(root / "proc/pressure", "system.pressure")
    if disks:
        found["system.disk.io.read"] = float(sum(int(disk[5]) for disk in disks) * SECTOR)
        found["system.disk.io.write"] = float(sum(int(disk[9]) for disk in disks) * SECTOR)
    return found, {disk[2]: int(disk[12]) / 1000 for disk in disks}


def _diskstats(root: Path) -> list[list[str]]:
    """Whole disks only: partitions and what is built of disks would count twice."""
    try:
        lines = (root / "proc/diskstats").read_text().splitlines()
        whole = {entry.name.replace("!", "/") for entry in (root / "sys/block").iterdir()}
    except OSError:
        return []
    fields = (line.split() for line in lines)
    return [
        disk for disk in fields if len(disk) >= 14 and disk[2] in whole and not disk[2].startswith(_VIRTUAL)
    ]


def _network(root: Path) -> dict[str, float]:
    try:
        ports = psutil.net_io_counters(pernic=True)
    except (OSError, RuntimeError, ValueError):
        return {}
    ports.pop("lo", None)
    # Bridges and tunnels pass on what a real port counts already; a container has virtual ports only.
    real = {name: port for name, port in ports.items() if (root / "sys/class/net" / name / "device").exists()}
    chosen = list((real or ports).values())
    if not chosen:
        return {}
    return {name: float(sum(getattr(port, field) for port in chosen)) for name, field in _PORT.items()}


_PORT: Final = {
    "system.network.io.receive": "bytes_recv", "system.network.io.transmit": "bytes_sent",
    "system.network.errors.receive": "errin", "system.network.errors.transmit": "errout",
    "system.network.dropped.receive": "dropin", "system.network.dropped.transmit": "dropout",
}  # fmt: skip
