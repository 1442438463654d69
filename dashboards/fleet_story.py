"""What was found and done, in the *Fleet* dashboard: diagnoses and commands of all runs."""

from __future__ import annotations

from grafana_foundation_sdk.builders import barchart, table, timeseries

from dashboards import common
from dashboards.charts import bars
from dashboards.layout import Line, Section
from dashboards.panels import curve, rows
from dashboards.parts import ended_by_action, outcomes


def section() -> Section:
    """The section."""
    return Section(
        "What was found and done",
        [
            Line(8, [diagnoses_by_rule(), commands_by_outcome()], (16, 8)),
            Line(8, [newest_diagnoses(), newest_commands()]),
        ],
    )


def diagnoses_by_rule() -> timeseries.Panel:
    """What began to fire when."""
    sql = """
        SELECT $__timeInterval_ms(first) AS time, rule AS series, toFloat64(count()) AS value
        FROM (
            SELECT any(d.rule) AS rule, min(d.time) AS first
            FROM train_diagnoses AS d
            WHERE d.state = 'firing' AND $__timeFilter_ms(d.time)
            GROUP BY d.id
        )
        GROUP BY time, series
        ORDER BY time
    """
    description = "Diagnoses that began to fire, by rule."
    return curve(
        20, "Diagnoses by rule", description, "short", sql, stacked=True, bars=True, bounds=(0, None)
    )


def commands_by_outcome() -> barchart.Panel:
    """What became of the commands, by action."""
    sql = ended_by_action("$__timeFilter_ms(c.issued)")
    description = "Commands of the time range by action, and how the ranks ended them."
    return bars(21, "Commands by outcome", description, "short", sql, stacked="normal")


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
    return rows(
        22,
        "Newest diagnoses",
        "What rules found in any run.",
        sql,
        units={"began": "dateTimeFromNow"},
        colors={"state": common.COLOR_OF_DIAGNOSIS, "severity": common.COLOR_OF_SEVERITY},
        links={"run": common.TO_RUN},
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
    return rows(
        23,
        "Newest commands",
        "What trainers were told in any run, and what their ranks answered.",
        sql,
        units={"sent": "dateTimeFromNow"},
        colors={"outcome": common.COLOR_OF_ACK},
        links={"run": common.TO_RUN},
    )
