"""The *Fleet* dashboard: which runs are in trouble, what was lost, what the machine did about it."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import bargauge, dashboard, stat, table, timeseries

from dashboards import common, fleet_lost, fleet_story
from dashboards.charts import gauges
from dashboards.common import FLEET_UID
from dashboards.fleet_lost import IN_RANGE
from dashboards.layout import Line, Section, lay_out
from dashboards.panels import curve, number, rows
from dashboards.parts import OVER, SILENT_AFTER_S, STATE
from dashboards.zoom import mean, zoomed

OPEN_DIAGNOSES: Final = """
    SELECT run, id, argMax(state, (time, src_offset)) AS newest
    FROM train_diagnoses
    WHERE $__timeFilter_ms(time)
    GROUP BY run, id
    HAVING newest = 'firing'
"""


def build() -> dashboard.Dashboard:
    """The dashboard."""
    board = common.new_dashboard(
        FLEET_UID, "All runs: which are in trouble, what was lost, what was done about it.", since="now-24h"
    )
    numbers = [
        runs(),
        running(),
        silent(),
        failed(),
        open_incidents(),
        waiting(),
        open_diagnoses(),
        commands(),
    ]
    trouble = Section("In trouble", [Line(3, numbers), Line(10, [all_runs()])])
    curves = Section("Runs", [Line(9, [loss_by_run(), states()], (18, 6))])
    lay_out(board, [trouble, fleet_lost.section(), fleet_story.section(), curves])
    return board


def _count(
    panel_id: int, title: str, description: str, condition: str, alarm: float | None = None
) -> stat.Panel:
    sql = f"SELECT countIf({condition}) AS runs FROM train_runs_latest WHERE {IN_RANGE}"
    return number(panel_id, title, description, "short", sql, alarm=alarm)


def runs() -> stat.Panel:
    """Runs that showed a sign of life in the time range."""
    return _count(1, "Runs", "Runs that showed a sign of life in the time range.", "1")


def running() -> stat.Panel:
    """Runs that are under way."""
    condition = f"{STATE} IN ('running', 'unknown')"
    return _count(2, "Running", "Runs that did not end and were heard of lately.", condition)


def silent() -> stat.Panel:
    """Runs that neither ended nor were heard of."""
    description = f"Runs that did not end and were not heard of for {SILENT_AFTER_S} s."
    return _count(3, "Silent", description, f"{STATE} = 'silent'", alarm=1)


def failed() -> stat.Panel:
    """Runs of which a rank failed or was killed."""
    description = "Runs whose newest attempt failed or was killed."
    return _count(4, "Failed", description, "state IN ('failed', 'killed')", alarm=1)


def open_incidents() -> stat.Panel:
    """Incidents that are not over."""
    sql = f"SELECT countIf(NOT {OVER}) AS incidents FROM train_incidents WHERE $__timeFilter_ms(began)"
    description = "Incidents that began in the time range and are not over."
    return number(5, "Open incidents", description, "short", sql, alarm=1)


def waiting() -> stat.Panel:
    """Incidents that wait for a person."""
    sql = "SELECT countIf(state = 'waiting') AS incidents FROM train_incidents WHERE $__timeFilter_ms(began)"
    description = "Incidents that wait for a person to approve or reject a command."
    return number(6, "Waiting for approval", description, "short", sql, alarm=1)


def open_diagnoses() -> stat.Panel:
    """Diagnoses that fire and are not resolved."""
    description = "Diagnoses that began to fire in the time range and are not resolved."
    sql = f"SELECT count() AS diagnoses FROM ({OPEN_DIAGNOSES})"
    return number(7, "Open diagnoses", description, "short", sql, alarm=1)


def commands() -> stat.Panel:
    """Commands sent to trainers."""
    sql = "SELECT uniqExact(id) AS commands FROM train_commands WHERE $__timeFilter_ms(issued)"
    return number(8, "Commands", "Commands sent to trainers in the time range.", "short", sql)


def all_runs() -> table.Panel:
    """One row a run, those in trouble first."""
    sql = f"""
        WITH
            recent AS (
                SELECT run, run_name, {STATE} AS state, attempt, ranks, started, last_time, last_step
                FROM train_runs_latest
                WHERE {IN_RANGE}
                ORDER BY last_time DESC
                LIMIT 200
            ),
            losses AS (
                SELECT
                    l.run AS run,
                    toNullable(argMax(l.value, (l.attempt, l.role = 'trainer', -l.rank))) AS loss
                FROM (
                    SELECT run, attempt, role, rank, argMaxMerge(last_value) AS value
                    FROM train_series
                    WHERE run IN (SELECT run FROM recent) AND name = 'loss'
                    GROUP BY run, attempt, role, rank
                ) AS l
                GROUP BY l.run
            ),
            incidents AS (
                SELECT run, countIf(NOT {OVER}) AS open, sum(gpu_seconds) / 3600 AS lost
                FROM train_incidents
                WHERE $__timeFilter_ms(began)
                GROUP BY run
            ),
            found AS (SELECT run, count() AS diagnoses FROM ({OPEN_DIAGNOSES}) GROUP BY run),
            sent AS (
                SELECT run, uniqExact(id) AS commands
                FROM train_commands
                WHERE $__timeFilter_ms(issued)
                GROUP BY run
            )
        SELECT
            recent.run AS run, recent.run_name AS name, recent.state AS state,
            recent.last_time AS `last seen`, incidents.open AS `open incidents`,
            found.diagnoses AS `open diagnoses`,
            incidents.lost AS `GPU hours lost`,
            sent.commands AS commands, recent.attempt AS attempt, recent.ranks AS ranks,
            nullIf(recent.last_step, -1) AS step, losses.loss AS loss, recent.started AS started
        FROM recent
        LEFT JOIN losses ON losses.run = recent.run
        LEFT JOIN incidents ON incidents.run = recent.run
        LEFT JOIN found ON found.run = recent.run
        LEFT JOIN sent ON sent.run = recent.run
        ORDER BY
            incidents.open > 0 DESC, recent.state IN ('failed', 'killed', 'silent') DESC,
            found.diagnoses > 0 DESC, recent.last_time DESC
    """
    return rows(
        9,
        "Runs in trouble first",
        "The 200 runs heard of last: those with open incidents first, then failed and silent ones. State is"
        " that of the newest attempt, loss the last value of its lowest rank.",
        sql,
        units={"last seen": "dateTimeFromNow", "started": "dateTimeAsIso"},
        colors={"state": common.COLOR_OF_STATE},
        links={"run": common.TO_RUN, "open incidents": common.TO_INCIDENTS},
    )


def loss_by_run() -> timeseries.Panel:
    """The loss of the runs heard of last."""
    body = f"""
SELECT $__timeInterval_ms(x.time) AS time, any(recent.label) AS series, {mean("x.")} AS value
FROM @samples AS x
INNER JOIN recent ON recent.run = x.run
GROUP BY x.run, time
ORDER BY time
"""
    recent = f"""recent AS (
        SELECT run, if(empty(run_name), run, run_name) AS label
        FROM train_runs_latest
        WHERE {IN_RANGE}
        ORDER BY last_time DESC
        LIMIT 20
    )"""
    where = "run IN (SELECT run FROM recent)"
    sql = zoomed("train_steps", "'loss'", body, where=where, before=recent)
    description = "Mean loss over the ranks of the 20 runs heard of last. Logarithmic beyond 1."
    return curve(40, "Loss by run", description, "none", sql, symlog=True)


def states() -> bargauge.Panel:
    """How many runs there are in each state."""
    sql = f"""
        SELECT {STATE} AS shown, toFloat64(count()) AS runs
        FROM train_runs_latest
        WHERE {IN_RANGE}
        GROUP BY shown
        ORDER BY runs DESC, shown
    """
    description = "Runs of the time range by the state of their newest attempt."
    return gauges(41, "Runs by state", description, "short", sql)
