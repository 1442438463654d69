"""What was lost, in the *Fleet* dashboard: GPU hours, steps, time."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import stat, timeseries

from dashboards import goodput
from dashboards.layout import Line, Section
from dashboards.panels import curve, number

IN_RANGE: Final = "last_time >= $__fromTime_ms AND started <= $__toTime_ms"
RECENT: Final = f"SELECT run FROM train_runs_latest WHERE {IN_RANGE} ORDER BY last_time DESC LIMIT 100"
_INCIDENTS: Final = "FROM train_incidents WHERE $__timeFilter_ms(began)"


def section() -> Section:
    """The section."""
    return Section(
        "What was lost",
        [
            Line(3, [goodput.of_fleet(RECENT), gpu_hours(), steps(), seconds()]),
            Line(9, [goodput.by_run(RECENT), lost_by_category()]),
        ],
    )


def gpu_hours() -> stat.Panel:
    """GPU time that incidents cost."""
    sql = f"SELECT sum(gpu_seconds) / 3600 AS hours {_INCIDENTS}"
    description = (
        "GPU hours lost to incidents that began in the time range, where the number of GPUs is known."
    )
    return number(10, "GPU hours lost", description, "h", sql, decimals=2)


def steps() -> stat.Panel:
    """Steps that had to be made again."""
    sql = f"SELECT sum(lost_steps) AS steps {_INCIDENTS}"
    return number(11, "Steps lost", "Steps that were made and had to be made again.", "short", sql)


def seconds() -> stat.Panel:
    """Time without progress."""
    sql = f"SELECT sum(lost_seconds) AS seconds {_INCIDENTS}"
    description = "Time in which runs stood still or made what was lost, added up over incidents."
    return number(12, "Time lost", description, "s", sql)


def lost_by_category() -> timeseries.Panel:
    """What cost the time."""
    sql = f"""
        SELECT $__timeInterval_ms(began) AS time, category AS series, sum(lost_seconds) AS value
        {_INCIDENTS}
        GROUP BY time, series
        ORDER BY time
    """
    description = "Seconds lost to incidents, by what kind of trouble began them and when."
    return curve(13, "Time lost by cause", description, "s", sql, stacked=True, bars=True, bounds=(0, None))
