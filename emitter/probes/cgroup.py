"""The limits of the control group we run in, version 1 or 2, and how near we are to them.

A limit may be set on any group above ours (a Kubernetes pod, a Slurm job): the smallest one counts, with the
use of the group that has it. Files: https://docs.kernel.org/admin-guide/cgroup-v2.html, .../cgroup-v1/
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from emitter.probes import pressure
from emitter.probes.mounts import folders

_UNLIMITED = 1 << 60
"""Version 1 writes "no limit" as nearly 2**63."""


class CgroupProbe:
    """``gauges()`` as they are, ``counters()`` in their growth per second; empty without a control group."""

    def __init__(self, root: Path = Path("/")) -> None:
        found = folders(root)
        self._unified = found.get("")
        self._memory = _Memory2(self._unified) if "memory" not in found else _Memory1(found["memory"])
        self._cpu = _Cpu2(self._unified) if "cpu" not in found else _Cpu1(found["cpu"], found.get("cpuacct"))

    def gauges(self) -> dict[str, float]:
        """Limits, use of memory, and kills."""
        return self._memory.sample() | self._cpu.limits()

    def counters(self) -> dict[str, float]:
        """Seconds of CPU and of stalls; ``_periods`` and ``_throttled`` count periods."""
        return self._cpu.counters() | self._stalls()

    def _stalls(self) -> dict[str, float]:
        # The root of all groups has no type; its pressure is the system's.
        if not self._unified or not (self._unified[0] / "cgroup.type").exists():
            return {}
        return pressure.stalled(self._unified[0], "container.pressure", ".pressure")


class _Memory2:
    def __init__(self, folders: list[Path] | None) -> None:
        self._folders = folders or []

    def sample(self) -> dict[str, float]:
        limits = [(limit, at) for at in self._folders if (limit := _number(at / "memory.max")) is not None]
        if not self._folders:
            return {}
        limit, at = min(limits, default=(None, self._folders[0]), key=lambda pair: pair[0])
        kills = _table(at / "memory.events").get("oom_kill")
        return _memory(limit, _number(at / "memory.current"), kills, at / "memory.stat", "")


class _Memory1:
    def __init__(self, folders: list[Path]) -> None:
        self._folders = folders

    def sample(self) -> dict[str, float]:
        files = ((_number(at / "memory.limit_in_bytes"), at) for at in self._folders)
        limits = [(limit, at) for limit, at in files if limit is not None and limit < _UNLIMITED]
        limit, at = min(limits, default=(None, self._folders[0]), key=lambda pair: pair[0])
        kills = _table(at / "memory.oom_control").get("oom_kill")
        return _memory(limit, _number(at / "memory.usage_in_bytes"), kills, at / "memory.stat", "total_")


def _memory(
    limit: float | None, usage: float | None, kills: float | None, details: Path, prefix: str
) -> dict[str, float]:
    found = {} if kills is None else {"container.memory.oom_kills": kills}
    if limit is None or usage is None or limit <= 0:
        return found
    stat = _table(details)
    idle, active = stat.get(f"{prefix}inactive_file", 0.0), stat.get(f"{prefix}active_file", 0.0)
    working = max(0.0, usage - idle)
    firm = max(0.0, working - active - stat.get("slab_reclaimable", 0.0))
    return found | {
        "container.memory.limit": limit,
        "container.memory.usage": usage,
        "container.memory.working_set": working,
        "container.memory.available": max(0.0, limit - working),
        "container.memory.utilization": firm / limit,
    }


class _Cpu2:
    def __init__(self, folders: list[Path] | None) -> None:
        self._folders = folders or []

    def limits(self) -> dict[str, float]:
        limit = _smallest(_share(_words(at / "cpu.max")) for at in self._folders)
        return {} if limit is None else {"container.cpu.limit": limit}

    def counters(self) -> dict[str, float]:
        shares = [(share, at) for at in self._folders if (share := _share(_words(at / "cpu.max")))]
        if not shares:
            return {}
        stat = _table(min(shares, key=lambda pair: pair[0])[1] / "cpu.stat")
        return _cpu(stat, stat["usage_usec"] * 1e-6 if "usage_usec" in stat else None)


class _Cpu1:
    def __init__(self, folders: list[Path], accounts: list[Path] | None) -> None:
        self._folders, self._accounts = folders, accounts or []

    def limits(self) -> dict[str, float]:
        limit = _smallest(self._quota(at) for at in self._folders)
        return {} if limit is None else {"container.cpu.limit": limit}

    def counters(self) -> dict[str, float]:
        limited = [(quota, index) for index, at in enumerate(self._folders) if (quota := self._quota(at))]
        if not limited:
            return {}
        index = min(limited)[1]
        same = len(self._accounts) == len(self._folders)
        used = _number(self._accounts[index] / "cpuacct.usage") if same else None
        return _cpu(_table(self._folders[index] / "cpu.stat"), None if used is None else used * 1e-9)

    @staticmethod
    def _quota(at: Path) -> float | None:
        return _share([*_words(at / "cpu.cfs_quota_us"), *_words(at / "cpu.cfs_period_us")])


def _cpu(stat: dict[str, float], used_s: float | None) -> dict[str, float]:
    names = {"nr_periods": "_periods", "nr_throttled": "_throttled"}
    found = {ours: stat[theirs] for theirs, ours in names.items() if theirs in stat}
    return found if used_s is None else {**found, "container.cpu.usage": used_s}


def throttled(rates: dict[str, float]) -> dict[str, float]:
    """The rates of ``counters()``, with the two counts of periods as one share."""
    periods, held = rates.pop("_periods", 0.0), rates.pop("_throttled", None)
    if held is not None and periods > 0:
        rates["container.cpu.throttled"] = min(1.0, held / periods)
    return rates


def _smallest(values: Iterator[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)


def _share(words: list[str]) -> float | None:
    """CPUs out of quota and period; None for "max" and -1."""
    if len(words) != 2 or not all(word.isdigit() for word in words) or int(words[1]) == 0:
        return None
    return int(words[0]) / int(words[1])


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []


def _number(file: Path) -> float | None:
    words = _words(file)
    return float(words[0]) if len(words) == 1 and words[0].isdigit() else None


def _table(file: Path) -> dict[str, float]:
    words = _words(file)
    return {
        name: float(value) for name, value in zip(words[::2], words[1::2], strict=False) if value.isdigit()
    }
