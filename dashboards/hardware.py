"""GPUs, in the *Ranks and hardware* dashboard: use, heat, power, errors, links."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import heatmap, logs, stat, table, timeseries

from dashboards.charts import heat
from dashboards.layout import Line, Section
from dashboards.panels import curve, lines, number, rows
from dashboards.parts import ATTEMPTS, CHOSEN, NODES, RANKS, ROLES, RUN, of
from dashboards.zoom import HIGHEST, LOWEST, by_rank, over_time, spread, zoomed

OF: Final = f"{RUN} AND {ATTEMPTS} AND {RANKS} AND {ROLES} AND {NODES}"
"""Rows of train_resources."""
_SHARED: Final = " Of more than 64 ranks, neighbours share a row that shows the worst of them."


def numbers() -> list[stat.Panel]:
    """The numbers in the head."""
    return [hottest(), errors(), throttled(), links_down()]


def sections() -> list[Section]:
    """The sections."""
    return [
        Section("GPUs by rank", [Line(9, [busy(), memory()]), Line(9, [heat_of(), power_of()])]),
        Section(
            "GPUs",
            [
                Line(7, [temperature(), power(), clocks()]),
                Line(7, [ecc(), nvlink(), pcie()]),
                Line(8, [gpus(), kernel_lines()], (14, 10)),
            ],
        ),
    ]


def _newest(names: str, aggregate: str) -> str:
    body = f"""
SELECT {aggregate} AS value
FROM (
    SELECT x.rank AS rank, x.device AS device, x.name AS name, argMax(x.high, x.time) AS last
    FROM @samples AS x
    GROUP BY rank, device, name
)
"""
    return zoomed("train_resources", names, body, where=OF)


def hottest() -> stat.Panel:
    """The hottest GPU now."""
    sql = _newest("'hw.gpu.temperature'", "max(last)")
    return number(5, "Hottest GPU", "Newest temperature of the hottest GPU.", "celsius", sql, alarm=85)


def errors() -> stat.Panel:
    """Uncorrected ECC errors."""
    sql = _newest("'hw.gpu.errors.ecc.uncorrected'", "sum(last)")
    description = "Uncorrected ECC errors since the hosts were started, over the chosen GPUs."
    return number(6, "Uncorrected ECC errors", description, "none", sql, alarm=1)


def throttled() -> stat.Panel:
    """GPUs that are held back."""
    # Idle (1), set by an application (2) and sync boost (16) are no trouble: NVML's clocks event reasons.
    sql = _newest(
        "'hw.gpu.throttle_reasons'", "countIf(bitAnd(toUInt64(ifNull(last, 0)), 4 + 8 + 32 + 64 + 128) > 0)"
    )
    description = "GPUs whose clocks are lowered now for power or heat (NVML's reasons 4, 8, 32, 64, 128)."
    return number(7, "Throttled GPUs", description, "none", sql, alarm=1)


def links_down() -> stat.Panel:
    """NVLinks that are not up."""
    names = "'hw.gpu.nvlink.links', 'hw.gpu.nvlink.links.active'"
    sql = _newest(
        names, "sumIf(last, name = 'hw.gpu.nvlink.links') - sumIf(last, name = 'hw.gpu.nvlink.links.active')"
    )
    return number(8, "NVLinks down", "NVLinks of the chosen GPUs that are not up.", "none", sql, alarm=1)


def busy() -> heatmap.Panel:
    """Use of each rank's GPUs."""
    sql = by_rank("train_resources", "'hw.gpu.utilization'", LOWEST, where=OF)
    description = "Share of time a kernel ran: the idlest moment of each rank's GPUs." + _SHARED
    return heat(20, "GPU utilization by rank", description, "percentunit", sql)


def memory() -> heatmap.Panel:
    """GPU memory of each rank."""
    sql = by_rank("train_resources", "'hw.gpu.memory.usage'", where=OF)
    return heat(21, "GPU memory by rank", "GPU memory in use by rank." + _SHARED, "bytes", sql)


def heat_of() -> heatmap.Panel:
    """Temperature of each rank's GPUs."""
    sql = by_rank("train_resources", "'hw.gpu.temperature'", where=OF)
    description = "Temperature of the hottest GPU of each rank." + _SHARED
    return heat(22, "GPU temperature by rank", description, "celsius", sql)


def power_of() -> heatmap.Panel:
    """Power of each rank's GPUs."""
    sql = by_rank("train_resources", "'hw.gpu.power'", LOWEST, where=OF)
    description = "Least power drawn by a GPU of each rank: a GPU that does nothing is dark." + _SHARED
    return heat(23, "GPU power by rank", description, "watt", sql)


def temperature() -> timeseries.Panel:
    """Temperatures."""
    sql = spread("train_resources", "'hw.gpu.temperature'", where=OF)
    description = "The coolest, the mean and the hottest of the chosen GPUs."
    return curve(24, "GPU temperature", description, "celsius", sql, alarm=85)


def power() -> timeseries.Panel:
    """Power against its limit."""
    names = "'hw.gpu.power', 'hw.gpu.power_limit'"
    value = "if(sum(x.count) = 0, nan, sum(x.total) / sum(x.count))"
    sql = over_time(
        "train_resources", names, "if(x.name = 'hw.gpu.power', 'mean power', 'limit')", value, where=OF
    )
    description = "Mean power of the chosen GPUs, and the limit that is enforced."
    return curve(25, "GPU power", description, "watt", sql, bounds=(0, None))


def clocks() -> timeseries.Panel:
    """Clocks."""
    names = "'hw.gpu.clock.sm', 'hw.gpu.clock.memory'"
    label = "if(x.name = 'hw.gpu.clock.sm', 'slowest SM', 'slowest memory')"
    sql = over_time("train_resources", names, label, LOWEST, where=OF)
    return curve(26, "GPU clocks", "The lowest clocks of the chosen GPUs.", "rotmhz", sql, bounds=(0, None))


def _counters(names: str, prefix: str) -> str:
    """The worst device for each counter: counters count from boot, so a step upwards is what matters."""
    return over_time("train_resources", names, f"replaceOne(x.name, '{prefix}', '')", HIGHEST, where=OF)


def ecc() -> timeseries.Panel:
    """ECC errors and remapped rows."""
    names = (
        "'hw.gpu.errors.ecc.corrected', 'hw.gpu.errors.ecc.uncorrected', 'hw.gpu.remapped_rows.corrected',"
        " 'hw.gpu.remapped_rows.uncorrected', 'hw.gpu.remapped_rows.pending', 'hw.gpu.remapped_rows.failed'"
    )
    description = "ECC errors since boot and remapped rows of the worst of the chosen GPUs."
    return curve(27, "ECC errors", description, "none", _counters(names, "hw.gpu."), bounds=(0, None))


def nvlink() -> timeseries.Panel:
    """NVLink errors."""
    names = (
        "'hw.gpu.nvlink.errors.crc_flit', 'hw.gpu.nvlink.errors.crc_data', 'hw.gpu.nvlink.errors.replay',"
        " 'hw.gpu.nvlink.errors.recovery', 'hw.gpu.pcie.replays'"
    )
    description = (
        "Errors of NVLinks and replays of PCIe since the driver's start, of the worst of the chosen GPUs."
    )
    return curve(28, "Link errors", description, "none", _counters(names, "hw.gpu."), bounds=(0, None))


def pcie() -> timeseries.Panel:
    """PCIe traffic."""
    names = "'hw.gpu.pcie.io.receive', 'hw.gpu.pcie.io.transmit'"
    sql = over_time("train_resources", names, "replaceOne(x.name, 'hw.gpu.pcie.io.', '')", HIGHEST, where=OF)
    return curve(
        29, "PCIe traffic", "Traffic of the busiest of the chosen GPUs.", "Bps", sql, bounds=(0, None)
    )


def gpus() -> table.Panel:
    """The newest numbers of each GPU, the hottest first."""
    names = (
        "'hw.gpu.temperature', 'hw.gpu.power', 'hw.gpu.utilization', 'hw.gpu.memory.usage',"
        " 'hw.gpu.errors.ecc.uncorrected', 'hw.gpu.errors.ecc.corrected', 'hw.gpu.nvlink.links.active'"
    )
    sql = f"""
        SELECT
            x.node AS node, nullIf(x.rank, -1) AS rank, x.device AS GPU,
            argMaxIf(x.high, x.time, x.name = 'hw.gpu.temperature') AS temperature,
            argMaxIf(x.high, x.time, x.name = 'hw.gpu.power') AS power,
            argMaxIf(x.high, x.time, x.name = 'hw.gpu.utilization') AS utilization,
            argMaxIf(x.high, x.time, x.name = 'hw.gpu.memory.usage') AS memory,
            maxIf(x.high, x.name = 'hw.gpu.errors.ecc.uncorrected') AS `uncorrected ECC`,
            maxIf(x.high, x.name = 'hw.gpu.errors.ecc.corrected') AS `corrected ECC`,
            argMaxIf(x.high, x.time, x.name = 'hw.gpu.nvlink.links.active') AS NVLinks
        FROM train_resources_1m AS x
        WHERE {of("x", OF)} AND x.name IN ({names}) AND x.device != ''
            AND x.time >= $__fromTime - 59 AND x.time <= $__toTime
        GROUP BY x.node, x.rank, x.device
        ORDER BY `uncorrected ECC` DESC, temperature DESC
        LIMIT 200
    """
    return rows(
        30,
        "GPUs",
        "Highest values of the newest minute of each of the chosen GPUs: those with errors first, then the"
        " hottest; 200 at most.",
        sql,
        units={"temperature": "celsius", "power": "watt", "utilization": "percentunit", "memory": "bytes"},
    )


def kernel_lines() -> logs.Panel:
    """Lines about hardware: Xid and the kernel's."""
    sql = f"""
        SELECT
            l.Timestamp AS timestamp, if(empty(l.SeverityText), 'info', lower(l.SeverityText)) AS level,
            concat(l.node, ' ', l.Body) AS body
        FROM otel_logs AS l
        WHERE {CHOSEN} AND toStartOfFiveMinutes(l.Timestamp) >= toStartOfFiveMinutes($__fromTime)
            AND $__timeFilter_ms(l.Timestamp)
            AND (mapContains(l.LogAttributes, 'hw.gpu.xid') OR match(l.Body, '(NVRM|Xid|SXid|NCCL WARN|ECC)'))
        ORDER BY l.Timestamp DESC
        LIMIT 100
    """
    description = "The newest 100 lines that name an Xid, the NVIDIA driver, NCCL's warnings or ECC."
    return lines(31, "Lines about hardware", description, sql)
