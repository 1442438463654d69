"""The line charts of the *Run* dashboard over time: learning, speed, resources, heartbeats."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import timeseries

from dashboards.panels import curve
from dashboards.parts import CHOSEN
from dashboards.zoom import HIGHEST, over_time, spread, zoomed

LOSS, GRAD_NORM, LEARNING_RATE, STEP_TIME, THROUGHPUT, EVALUATION, PARTS = range(11, 18)
CPU, MEMORY, GPU, GPU_MEMORY, HEARTBEATS = range(31, 36)

_BY_ATTEMPT: Final = "concat('attempt ', toString(x.attempt))"


def loss() -> timeseries.Panel:
    """Training loss."""
    value = (
        "if(sum(x.count) = 0 OR (level = 0 AND sum(x.not_finite) > sum(x.count)), nan,"
        " sum(x.total) / sum(x.count))"
    )
    sql = over_time("train_steps", "'loss'", _BY_ATTEMPT, value)
    description = (
        "Mean training loss over the chosen ranks. Lines across: diagnoses (red) and commands (blue). A gap"
        " with a cross is a loss that is not a number. Logarithmic beyond 1."
    )
    return curve(LOSS, "Loss", description, "none", sql, symlog=True)


def grad_norm() -> timeseries.Panel:
    """Global gradient norm."""
    sql = over_time("train_steps", "'grad_norm'", _BY_ATTEMPT, HIGHEST)
    description = "Largest gradient norm over the chosen ranks, before clipping. Logarithmic beyond 1."
    return curve(GRAD_NORM, "Gradient norm", description, "none", sql, symlog=True)


def learning_rate() -> timeseries.Panel:
    """Learning rate."""
    sql = over_time("train_steps", "'learning_rate'", _BY_ATTEMPT)
    description = "Learning rate of the first parameter group."
    return curve(LEARNING_RATE, "Learning rate", description, "sci", sql)


def evaluation() -> timeseries.Panel:
    """Evaluation scalars."""
    sql = f"""
        SELECT $__timeInterval_ms(s.time) AS time, s.name AS series, avg(s.value) AS value
        FROM train_evals AS s
        WHERE {CHOSEN} AND $__timeFilter_ms(s.time)
            AND s.name IN (SELECT DISTINCT name FROM train_evals WHERE {CHOSEN} ORDER BY name LIMIT 10)
        GROUP BY time, series
        ORDER BY time
    """
    description = "Evaluation scalars, the first ten names. Points, because evaluations are rare."
    return curve(EVALUATION, "Evaluation", description, "none", sql)


def step_time() -> timeseries.Panel:
    """How long a step takes."""
    sql = spread("train_steps", "'step_time'")
    description = "Time from one step to the next: the fastest, the mean and the slowest of the chosen ranks."
    return curve(STEP_TIME, "Step time", description, "s", sql, bounds=(0, None))


def parts() -> timeseries.Panel:
    """Where the time of a step goes."""
    names = "'data_time', 'forward_time', 'backward_time', 'optimizer_time', 'rollout_time', 'update_time'"
    sql = over_time("train_steps", names, "x.name")
    description = (
        "Mean time of the parts of a step, those that the trainer measures; waiting for data always."
    )
    return curve(PARTS, "Parts of a step", description, "s", sql, stacked=True, bounds=(0, None))


def throughput() -> timeseries.Panel:
    """Steps, tokens and samples per second."""
    body = """
SELECT
    $__timeInterval_ms(x.time) AS time,
    if(x.name = 'step_time', 'steps_per_second', x.name) AS series,
    if(
        any(x.name) = 'step_time', sum(x.count) / sum(x.total),
        sum(x.total) / sum(x.count) * uniqExact(x.rank)
    ) AS value
FROM @samples AS x
WHERE x.count > 0
GROUP BY time, series
ORDER BY time
"""
    names = "'tokens_per_second', 'samples_per_second', 'step_time'"
    sql = zoomed("train_steps", names, body)
    description = (
        "Tokens and samples per second, summed over the chosen ranks, and steps per second of one rank."
    )
    return curve(THROUGHPUT, "Throughput", description, "short", sql, symlog=True)


def cpu() -> timeseries.Panel:
    """CPU of host and process."""
    names = "'system.cpu.utilization', 'process.cpu.utilization'"
    sql = over_time("train_resources", names, "if(x.name = 'system.cpu.utilization', 'host', 'process')")
    description = (
        "Mean share of the host's CPU time in use, and cores used by a trainer process (100 % is one core)."
    )
    return curve(CPU, "CPU", description, "percentunit", sql, bounds=(0, None))


def memory() -> timeseries.Panel:
    """Memory of host and process."""
    names = "'system.memory.usage', 'process.memory.usage'"
    label = "if(x.name = 'system.memory.usage', 'host', 'process')"
    sql = over_time("train_resources", names, label, HIGHEST)
    description = "Memory in use on the fullest host, and by the largest trainer process."
    return curve(MEMORY, "Memory", description, "bytes", sql, bounds=(0, None))


def gpu() -> timeseries.Panel:
    """How busy the GPUs are."""
    description = "Share of time a kernel ran: the idlest, the mean and the busiest GPU of the chosen ranks."
    sql = spread("train_resources", "'hw.gpu.utilization'")
    return curve(GPU, "GPU utilization", description, "percentunit", sql, bounds=(0, 1))


def gpu_memory() -> timeseries.Panel:
    """Memory of the GPUs."""
    description = "GPU memory in use: the emptiest, the mean and the fullest GPU of the chosen ranks."
    sql = spread("train_resources", "'hw.gpu.memory.usage'")
    return curve(GPU_MEMORY, "GPU memory", description, "bytes", sql, bounds=(0, None))


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
    return curve(HEARTBEATS, "Time without progress", description, "s", sql, bounds=(0, None))
