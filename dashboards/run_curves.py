"""The line charts of the *Run* dashboard: learning, speed, resources, heartbeats."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import timeseries

from dashboards import common
from dashboards.parts import CHOSEN

LOSS, GRAD_NORM, LEARNING_RATE, STEP_TIME, THROUGHPUT, EVALUATION = range(11, 17)
CPU, MEMORY, GPU, GPU_MEMORY, HEARTBEATS = range(31, 36)

ANNOTATED: Final = [LOSS, GRAD_NORM, LEARNING_RATE, EVALUATION]
"""Panels that show diagnoses and commands."""

_BY_ATTEMPT: Final = "concat('attempt ', toString(s.attempt))"


def panels() -> list[timeseries.Panel]:
    """The panels, in order."""
    learning = [loss(), grad_norm(), learning_rate(), step_time(), throughput(), evaluation()]
    return [*learning, cpu(), memory(), gpu(), gpu_memory(), heartbeats()]


def _values(table: str, names: str, series: str, over: str = "avg") -> str:
    """A line for each series: the finite values of each bucket, not a number where a bucket has no other."""
    return f"""
        SELECT
            $__timeInterval_ms(s.time) AS time, {series} AS series,
            if(countIf(isFinite(s.value)) = 0, nan, {over}If(s.value, isFinite(s.value))) AS value
        FROM {table} AS s
        WHERE {CHOSEN} AND s.name IN ({names}) AND $__timeFilter_ms(s.time)
        GROUP BY time, series
        ORDER BY time
    """


def loss() -> timeseries.Panel:
    """Training loss."""
    sql = _values("train_steps", "'loss'", _BY_ATTEMPT)
    description = (
        "Mean training loss over the chosen ranks. Lines across: diagnoses (red) and commands (blue). A gap"
        " with a cross is a loss that is not a number. Logarithmic beyond 1."
    )
    return common.curve(LOSS, "Loss", description, (0, 3, 24, 10), "none", sql, symlog=True)


def grad_norm() -> timeseries.Panel:
    """Global gradient norm."""
    sql = _values("train_steps", "'grad_norm'", _BY_ATTEMPT, "max")
    description = "Largest gradient norm over the chosen ranks, before clipping. Logarithmic beyond 1."
    return common.curve(GRAD_NORM, "Gradient norm", description, (0, 13, 8, 7), "none", sql, symlog=True)


def learning_rate() -> timeseries.Panel:
    """Learning rate."""
    sql = _values("train_steps", "'learning_rate'", _BY_ATTEMPT)
    description = "Learning rate of the first parameter group."
    return common.curve(LEARNING_RATE, "Learning rate", description, (8, 13, 8, 7), "sci", sql)


def evaluation() -> timeseries.Panel:
    """Evaluation scalars."""
    names = f"SELECT DISTINCT name FROM train_evals WHERE {CHOSEN} ORDER BY name LIMIT 10"
    sql = _values("train_evals", names, "s.name")
    description = "Evaluation scalars, the first ten names. Points, because evaluations are rare."
    return common.curve(EVALUATION, "Evaluation", description, (16, 13, 8, 7), "none", sql)


def step_time() -> timeseries.Panel:
    """Where the time of a step goes."""
    sql = _values("train_steps", "'step_time', 'data_time'", "s.name")
    description = "Mean time from one step to the next, and the part of it spent waiting for data."
    return common.curve(STEP_TIME, "Step time", description, (0, 31, 12, 7), "s", sql)


def throughput() -> timeseries.Panel:
    """Steps, tokens and samples per second."""
    sql = f"""
        SELECT $__timeInterval_ms(s.time) AS time, s.name AS series, avg(s.value) * uniqExact(s.rank) AS value
        FROM train_steps AS s
        WHERE {CHOSEN} AND s.name IN ('tokens_per_second', 'samples_per_second') AND $__timeFilter_ms(s.time)
        GROUP BY time, series
        ORDER BY time
        UNION ALL
        SELECT
            $__timeInterval_ms(s.time) AS time, 'steps_per_second' AS series,
            1 / avgIf(s.value, s.value > 0) AS value
        FROM train_steps AS s
        WHERE {CHOSEN} AND s.name = 'step_time' AND $__timeFilter_ms(s.time)
        GROUP BY time
        ORDER BY time
    """
    description = (
        "Tokens and samples per second, summed over the chosen ranks, and steps per second of one rank."
    )
    return common.curve(THROUGHPUT, "Throughput", description, (12, 31, 12, 7), "short", sql, symlog=True)


def cpu() -> timeseries.Panel:
    """CPU of host and process."""
    names = "'system.cpu.utilization', 'process.cpu.utilization'"
    label = "if(s.name = 'system.cpu.utilization', 'host', 'process')"
    sql = _values("train_resources", names, label)
    description = (
        "Mean share of the host's CPU time in use, and cores used by a trainer process (100 % is one core)."
    )
    return common.curve(CPU, "CPU", description, (0, 38, 12, 7), "percentunit", sql, bounds=(0, None))


def memory() -> timeseries.Panel:
    """Memory of host and process."""
    names = "'system.memory.usage', 'process.memory.usage'"
    label = "if(s.name = 'system.memory.usage', 'host', 'process')"
    sql = _values("train_resources", names, label, "max")
    description = "Memory in use on the fullest host, and by the largest trainer process."
    return common.curve(MEMORY, "Memory", description, (12, 38, 12, 7), "bytes", sql, bounds=(0, None))


def _over_devices(name: str) -> str:
    """Lowest, mean and highest over all devices: three lines however many GPUs there are."""
    return f"""
        SELECT bucket AS time, line.1 AS series, line.2 AS value
        FROM (
            SELECT
                $__timeInterval_ms(s.time) AS bucket,
                arrayJoin([
                    ('lowest', min(s.value)), ('mean', avg(s.value)), ('highest', max(s.value))
                ]) AS line
            FROM train_resources AS s
            WHERE {CHOSEN} AND s.name = '{name}' AND $__timeFilter_ms(s.time)
            GROUP BY bucket
        )
        ORDER BY time
    """


def gpu() -> timeseries.Panel:
    """How busy the GPUs are."""
    description = "Share of time a kernel ran: the idlest, the mean and the busiest GPU of the chosen ranks."
    sql, place = _over_devices("hw.gpu.utilization"), (0, 45, 8, 7)
    return common.curve(GPU, "GPU utilization", description, place, "percentunit", sql, bounds=(0, 1))


def gpu_memory() -> timeseries.Panel:
    """Memory of the GPUs."""
    description = "GPU memory in use: the emptiest, the mean and the fullest GPU of the chosen ranks."
    sql, place = _over_devices("hw.gpu.memory.usage"), (8, 45, 8, 7)
    return common.curve(GPU_MEMORY, "GPU memory", description, place, "bytes", sql, bounds=(0, None))


def heartbeats() -> timeseries.Panel:
    """How long ago ranks made progress."""
    sql = f"""
        SELECT
            $__timeInterval_ms(s.time) AS time, concat('phase ', s.phase) AS series,
            max(s.progress_age) AS value
        FROM train_heartbeats AS s
        WHERE {CHOSEN} AND $__timeFilter_ms(s.time)
        GROUP BY time, series
        ORDER BY time
    """
    description = "Longest time without progress that any chosen rank reported with a heartbeat, by phase."
    place = (16, 45, 8, 7)
    return common.curve(HEARTBEATS, "Time without progress", description, place, "s", sql, bounds=(0, None))
