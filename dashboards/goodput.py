"""Where the wall time went: parts of a run's time and what share of it made progress (docs/goodput.md)."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import barchart, dashboard, stat, table
from grafana_foundation_sdk.models import dashboard as models

from dashboards.charts import bars
from dashboards.panels import number, rows
from dashboards.parts import ATTEMPTS, RUN, of
from dashboards.query import query_variable

PARTS: Final = (
    "productive", "data_wait", "checkpoint", "setup", "restart", "recomputed", "hang", "paused", "idle",
)  # fmt: skip
_SHOWN: Final = ", ".join(f"{part} AS `{part.replace('_', ' ')}`" for part in PARTS)
_EXACT: Final = 50_000
"""Steps of a run that are added up one by one; of more, the roll-ups are."""
_VIEW: Final = "train_goodput${goodput:raw}"
"""The view that the variable ``goodput`` names; without a value, the one that is always right."""
_MEANT: Final = (
    " Productive is the time of steps that were new; the rest is waiting for data, checkpoints that hold the"
    " loop up, start, restart, steps made again, hangs, pauses, and what is left."
)


def source() -> dashboard.QueryVariable:
    """Which view has the goodput of the run. Hidden; ClickHouse plans every view that a query names."""
    sql = f"""
        SELECT
            if(sum(most) > {_EXACT}, '_rolled', '') AS ending,
            if(empty(ending), 'step by step', 'from roll-ups') AS label
        FROM (
            SELECT max(records) AS most
            FROM (
                SELECT s.attempt AS attempt, sum(s.count) AS records
                FROM train_series AS s
                WHERE {of("s", RUN)}
                GROUP BY s.attempt, s.role, s.rank, s.name
            )
            GROUP BY attempt
        )
    """
    variable = query_variable("goodput", "How goodput is read", sql)
    variable.hide(models.VariableHide.HIDE_VARIABLE)
    return variable


def of_run() -> stat.Panel:
    """Goodput of the run."""
    sql = f"""
        SELECT if(sum(wall) > 0, sum(productive) / sum(wall), NULL) AS goodput
        FROM {_VIEW}
        WHERE {RUN} AND {ATTEMPTS}
    """
    description = "Share of the wall time of the chosen attempts in which steps were made that were new."
    return number(9, "Goodput", description, "percentunit", sql, decimals=1)


def by_attempt() -> barchart.Panel:
    """The parts of each attempt."""
    sql = f"""
        SELECT concat('attempt ', toString(attempt)) AS name, {_SHOWN}
        FROM {_VIEW}
        WHERE {RUN} AND {ATTEMPTS}
        ORDER BY attempt DESC
        LIMIT 20
    """
    description = "Where the wall time of each chosen attempt went, the newest 20." + _MEANT
    return bars(60, "Wall time by attempt", description, "s", sql, stacked="percent")


def attempts() -> table.Panel:
    """The same in numbers."""
    sql = f"""
        SELECT
            attempt, state, goodput, wall, {_SHOWN}, steps, recomputed_steps AS `steps made again`,
            gpus AS GPUs, began, ended
        FROM {_VIEW}
        WHERE {RUN} AND {ATTEMPTS}
        ORDER BY attempt DESC
        LIMIT 100
    """
    return rows(
        61,
        "Attempts",
        "Attempts of the run, newest first, and the seconds of their wall time; the parts add up to it.",
        sql,
        units={
            "goodput": "percentunit", "began": "dateTimeAsIso", "ended": "dateTimeAsIso", "wall": "s",
            **{part.replace("_", " "): "s" for part in PARTS},
        },
    )  # fmt: skip


def of_fleet(recent: str) -> stat.Panel:
    """Goodput of all runs of the range. ``recent``: a query of their ids."""
    sql = f"""
        SELECT if(sum(wall) > 0, sum(productive) / sum(wall), NULL) AS goodput
        FROM train_goodput_fleet
        WHERE run IN ({recent})
    """
    description = "Productive share of the wall time of the 100 runs heard of last, from their beginnings."
    return number(14, "Goodput of the fleet", description, "percentunit", sql, decimals=1)


def by_run(recent: str) -> barchart.Panel:
    """The parts of each run."""
    sql = f"""
        SELECT
            concat(if(empty(run_name), run, run_name), ' ', toString(round(100 * goodput, 1)), ' %') AS name,
            {_SHOWN}
        FROM train_goodput_fleet
        WHERE run IN ({recent})
        ORDER BY wall DESC
        LIMIT 20
    """
    description = (
        "Goodput of the longest 20 of the 100 runs heard of last, and where their wall time went." + _MEANT
    )
    return bars(15, "Wall time by run", description, "s", sql, stacked="percent")
