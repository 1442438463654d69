"""Hosts, in the *Ranks and hardware* dashboard: CPU, memory, pressure, network, disks, by node."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import table, timeseries

from dashboards.hardware import OF
from dashboards.layout import Line, Section
from dashboards.panels import curve, rows
from dashboards.zoom import HIGHEST, over_time, zoomed

_BY_NODE: Final = "if(empty(x.node), 'unknown', x.node)"


def section() -> Section:
    """The section."""
    return Section(
        "Hosts",
        [
            Line(7, [cpu(), memory(), pressure(), container()]),
            Line(7, [network(), network_errors(), disk(), space()]),
            Line(8, [nodes()]),
        ],
    )


def _of(names: str, series: str, value: str = HIGHEST) -> str:
    return over_time("train_resources", names, series, value, where=OF)


def cpu() -> timeseries.Panel:
    """CPU by node."""
    sql = _of("'system.cpu.utilization'", _BY_NODE, "")
    description = "Share of each host's CPU time in use."
    return curve(40, "CPU by node", description, "percentunit", sql, bounds=(0, 1))


def memory() -> timeseries.Panel:
    """Memory by node."""
    sql = _of("'system.memory.utilization'", _BY_NODE)
    description = "Share of each host's memory in use."
    return curve(41, "Memory by node", description, "percentunit", sql, bounds=(0, 1), alarm=0.95)


def pressure() -> timeseries.Panel:
    """Pressure stall information."""
    names = (
        "'system.pressure.cpu.some', 'system.pressure.memory.some', 'system.pressure.memory.full',"
        " 'system.pressure.io.some', 'system.pressure.io.full'"
    )
    sql = _of(names, "replaceOne(x.name, 'system.pressure.', '')")
    description = (
        "Share of time in which tasks waited for CPU, memory or disks, on the worst of the chosen hosts."
    )
    return curve(42, "Pressure", description, "percentunit", sql, bounds=(0, None))


def container() -> timeseries.Panel:
    """What the control group allows."""
    names = "'container.memory.utilization', 'container.cpu.throttled'"
    sql = _of(names, "replaceOne(x.name, 'container.', '')")
    description = "Share of the control group's memory in use, and of its periods in which it was held back."
    return curve(43, "Container", description, "percentunit", sql, bounds=(0, None), alarm=0.95)


def network() -> timeseries.Panel:
    """Network traffic."""
    names = (
        "'system.network.io.receive', 'system.network.io.transmit', 'hw.network.io.receive',"
        " 'hw.network.io.transmit'"
    )
    label = "replaceRegexpOne(replaceOne(x.name, 'system.', ''), '^hw\\\\.network', 'InfiniBand')"
    description = "Traffic of the busiest of the chosen hosts and of its InfiniBand or RoCE ports."
    return curve(44, "Network", description, "Bps", _of(names, label), bounds=(0, None))


def network_errors() -> timeseries.Panel:
    """Errors of the network."""
    names = (
        "'system.network.errors.receive', 'system.network.errors.transmit', 'system.network.dropped.receive',"
        " 'system.network.dropped.transmit', 'hw.network.errors.link_downed', 'hw.network.errors.symbol',"
        " 'hw.network.errors.receive'"
    )
    sql = _of(names, "replaceOne(x.name, 'system.', '')")
    description = "Errors and drops per second of the worst host, and the counters of its ports since reset."
    return curve(45, "Network errors", description, "short", sql, bounds=(0, None))


def disk() -> timeseries.Panel:
    """Disk traffic."""
    names = "'system.disk.io.read', 'system.disk.io.write'"
    sql = _of(names, "replaceOne(x.name, 'system.disk.io.', '')")
    description = "Bytes per second of the busiest of the chosen hosts."
    return curve(46, "Disk", description, "Bps", sql, bounds=(0, None))


def space() -> timeseries.Panel:
    """Space on disks and in shared memory."""
    names = "'system.filesystem.utilization', 'system.disk.io_time'"
    label = "if(x.name = 'system.disk.io_time', 'busiest disk at work', 'file system in use')"
    description = (
        "Share in use of the fullest file system where trainers run, and time the busiest disk was at work."
    )
    return curve(
        47, "Disk space and load", description, "percentunit", _of(names, label), bounds=(0, 1), alarm=0.95
    )


def nodes() -> table.Panel:
    """The newest numbers of each host."""
    body = """
SELECT
    x.node AS node, uniqExact(x.rank) AS ranks,
    argMaxIf(x.high, x.time, x.name = 'system.cpu.utilization') AS CPU,
    argMaxIf(x.high, x.time, x.name = 'system.memory.utilization') AS memory,
    argMaxIf(x.low, x.time, x.name = 'system.shm.free') AS `shared memory free`,
    argMaxIf(x.low, x.time, x.name = 'system.filesystem.free') AS `disk free`,
    argMaxIf(x.high, x.time, x.name = 'system.pressure.io.full') AS `waits for disks`,
    max(x.time) AS `last sample`
FROM @samples AS x
GROUP BY x.node
ORDER BY memory DESC
LIMIT 200
"""
    names = (
        "'system.cpu.utilization', 'system.memory.utilization', 'system.shm.free', 'system.filesystem.free',"
        " 'system.pressure.io.full'"
    )
    return rows(
        48,
        "Nodes",
        "Newest numbers of each of the chosen hosts, the fullest memory first; 200 at most.",
        zoomed("train_resources", names, body, where=OF),
        units={
            "CPU": "percentunit", "memory": "percentunit", "shared memory free": "bytes",
            "disk free": "bytes", "waits for disks": "percentunit", "last sample": "dateTimeFromNow",
        },
    )  # fmt: skip
