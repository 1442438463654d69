"""The *Fleet* dashboard: all runs, what state they are in, and what was diagnosed and commanded."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard, stat, table, timeseries

from dashboards import common
from dashboards.common import FLEET_UID, RUN_UID
from dashboards.parts import outcomes

# A run whose newest sign of life is older than this is shown as silent (DESIGN 4: node lost after 120 s).
SILENT_AFTER_S: Final = 120

IN_RANGE: Final = "last_time >= $__fromTime_ms AND started <= $__toTime_ms"
STATE: Final = (
    f"if(state IN ('running', 'unknown') AND last_time < now64(3) - INTERVAL {SILENT_AFTER_S} SECOND, "
    "'silent', state)"
)
_TO_RUN: Final = ("Open this run", f"/d/{RUN_UID}?var-run=${{__data.fields.run:percentencode}}")

_OPEN: Final = """
    SELECT run, id, argMax(state, (time, src_offset)) AS newest
    FROM train_diagnoses
    WHERE $__timeFilter_ms(time)
    GROUP BY run, id
    HAVING newest = 'firing'
"""


def build() -> dashboard.Dashboard:
    """The dashboard."""
    board = common.new_dashboard(
        "Fleet", FLEET_UID, "All runs: state, progress, diagnoses and commands.", since="now-24h"
    )
    board.link(common.link_to("Run", RUN_UID))
    for count in (runs(), running(), silent(), failed(), open_diagnoses(), commands()):
        board.with_panel(count)
    for rows in (all_runs(), newest_diagnoses(), newest_commands()):
        board.with_panel(rows)
    board.with_panel(loss_by_run())
    return board


def _count(
    panel_id: int, title: str, description: str, condition: str, alarm: float | None = None
) -> stat.Panel:
    sql = f"SELECT countIf({condition}) AS runs FROM train_runs_latest WHERE {IN_RANGE}"
    place = ((panel_id - 1) * 4, 0, 4, 3)
    return common.number(panel_id, title, description, place, "short", sql, alarm=alarm)


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


def open_diagnoses() -> stat.Panel:
    """Diagnoses that fire and are not resolved."""
    description = "Diagnoses that began to fire in the time range and are not resolved."
    sql = f"SELECT count() AS diagnoses FROM ({_OPEN})"
    return common.number(5, "Open diagnoses", description, (16, 0, 4, 3), "short", sql, alarm=1)


def commands() -> stat.Panel:
    """Commands sent to trainers."""
    sql = "SELECT uniqExact(id) AS commands FROM train_commands WHERE $__timeFilter_ms(issued)"
    description = "Commands sent to trainers in the time range."
    return common.number(6, "Commands", description, (20, 0, 4, 3), "short", sql)


def all_runs() -> table.Panel:
    """One row a run, the newest sign of life first."""
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
                SELECT run, toNullable(argMax(value, (time, src_offset))) AS loss
                FROM train_steps
                WHERE run IN (SELECT run FROM recent) AND name = 'loss' AND $__timeFilter_ms(time)
                GROUP BY run
            ),
            open AS (SELECT run, count() AS diagnoses FROM ({_OPEN}) GROUP BY run),
            sent AS (
                SELECT run, uniqExact(id) AS commands
                FROM train_commands
                WHERE $__timeFilter_ms(issued)
                GROUP BY run
            )
        SELECT
            recent.run AS run, recent.run_name AS name, recent.state AS state, recent.attempt AS attempt,
            recent.ranks AS ranks, nullIf(recent.last_step, -1) AS step, losses.loss AS loss,
            open.diagnoses AS `open diagnoses`, sent.commands AS commands,
            recent.last_time AS `last seen`, recent.started AS started
        FROM recent
        LEFT JOIN losses ON losses.run = recent.run
        LEFT JOIN open ON open.run = recent.run
        LEFT JOIN sent ON sent.run = recent.run
        ORDER BY recent.last_time DESC
    """
    return common.rows(
        7,
        "Runs",
        "The 200 runs heard of last. The state is that of the newest attempt; loss is the last value.",
        (0, 3, 24, 9),
        sql,
        units={"last seen": "dateTimeFromNow", "started": "dateTimeAsIso"},
        colors={"state": common.COLOR_OF_STATE},
        links={"run": _TO_RUN},
    )


def newest_diagnoses() -> table.Panel:
    """The diagnoses of all runs, newest first."""
    sql = """
        SELECT
            min(d.time) AS began, argMax(d.state, (d.time, d.src_offset)) AS state,
            any(d.severity) AS severity, any(d.rule) AS rule, any(d.run) AS run,
            argMax(d.summary, (d.time, d.src_offset)) AS summary
        FROM train_diagnoses AS d
        WHERE $__timeFilter_ms(d.time)
        GROUP BY d.id
        ORDER BY began DESC
        LIMIT 50
    """
    return common.rows(
        8,
        "Newest diagnoses",
        "What rules found in any run.",
        (0, 12, 12, 7),
        sql,
        units={"began": "dateTimeFromNow"},
        colors={"state": common.COLOR_OF_DIAGNOSIS, "severity": common.COLOR_OF_SEVERITY},
        links={"run": _TO_RUN},
    )


def newest_commands() -> table.Panel:
    """The commands of all runs, newest first, with what became of them."""
    sql = f"""
        WITH
            sent AS (
                SELECT c.id AS id, c.issued AS issued, c.action AS action, c.run AS run, c.rule AS rule
                FROM train_commands AS c
                WHERE $__timeFilter_ms(c.issued)
                ORDER BY c.issued DESC
                LIMIT 1 BY c.id
                LIMIT 50
            ),
            {outcomes("run IN (SELECT run FROM sent)")}
        SELECT
            sent.issued AS sent, sent.action AS action,
            if(empty(outcome.state), 'no answer', outcome.state) AS outcome,
            outcome.ranks AS ranks, sent.rule AS rule, sent.run AS run
        FROM sent
        LEFT JOIN outcome ON outcome.command = sent.id
        ORDER BY sent.issued DESC
    """
    return common.rows(
        9,
        "Newest commands",
        "What trainers were told in any run, and what their ranks answered.",
        (12, 12, 12, 7),
        sql,
        units={"sent": "dateTimeFromNow"},
        colors={"outcome": common.COLOR_OF_ACK},
        links={"run": _TO_RUN},
    )


def loss_by_run() -> timeseries.Panel:
    """The loss of the runs heard of last."""
    sql = f"""
        WITH recent AS (
            SELECT run, if(empty(run_name), run, run_name) AS label
            FROM train_runs_latest
            WHERE {IN_RANGE}
            ORDER BY last_time DESC
            LIMIT 20
        )
        SELECT
            $__timeInterval_ms(s.time) AS time, any(recent.label) AS series,
            if(countIf(isFinite(s.value)) = 0, nan, medianIf(s.value, isFinite(s.value))) AS value
        FROM train_steps AS s
        INNER JOIN recent ON recent.run = s.run
        WHERE s.run IN (SELECT run FROM recent) AND s.name = 'loss' AND $__timeFilter_ms(s.time)
        GROUP BY s.run, time
        ORDER BY time
    """
    description = "Median loss over the ranks of the 20 runs heard of last."
    return common.curve(10, "Loss by run", description, (0, 19, 24, 9), "none", sql, symlog=True)
