"""How fast and how well runs recovered, in the *Incidents* dashboard (docs/goodput.md)."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import barchart, table

from dashboards import common
from dashboards.charts import bars
from dashboards.panels import rows
from dashboards.parts import RUNS

_CHOSEN: Final = f"""run IN (
            SELECT run
            FROM train_incident_changes
            WHERE {RUNS} AND $__timeFilter_ms(began)
            GROUP BY run
            ORDER BY max(began) DESC
            LIMIT 20
        )"""
_STEPS: Final = ("detect", "diagnose", "act", "recover")


def times() -> barchart.Panel:
    """Median times of each kind of trouble."""
    medians = ", ".join(
        f"medianExactIf(ifNull(r.{name}, 0), r.{name} IS NOT NULL) AS {name}" for name in _STEPS
    )
    sql = f"""
        SELECT r.rule AS rule, {medians}
        FROM train_recovery AS r
        WHERE {_CHOSEN} AND $__timeFilter_ms(r.began)
        GROUP BY rule
        ORDER BY count() DESC, rule
        LIMIT 15
    """
    description = (
        "Median time to see, diagnose, act and recover (a new highest step), by the rule of the cause; of the"
        " 20 runs with the newest incidents."
    )
    return bars(22, "Time to recover", description, "s", sql)


def incidents() -> table.Panel:
    """The times of each incident."""
    sql = f"""
        SELECT
            r.began AS began, r.state AS state, r.rule AS rule, r.severity AS severity, r.detect AS detect,
            r.diagnose AS diagnose, r.act AS act, r.recover AS recover, r.lost_steps AS `steps lost`,
            r.gpu_hours AS `GPU hours`, r.run AS run, r.outcome AS outcome, r.id AS incident
        FROM train_recovery AS r
        WHERE {_CHOSEN} AND $__timeFilter_ms(r.began)
        ORDER BY r.began DESC
        LIMIT 100
    """
    return rows(
        23,
        "Recovery",
        "How long each incident took to be seen, diagnosed, acted on and recovered from, newest first; 100 at"
        " most, of the 20 runs with the newest incidents.",
        sql,
        units={
            "began": "dateTimeAsIso", "detect": "s", "diagnose": "s", "act": "s", "recover": "s",
            "GPU hours": "h",
        },
        colors={"state": common.COLOR_OF_INCIDENT, "severity": common.COLOR_OF_SEVERITY},
        links={"run": common.TO_RUN},
    )  # fmt: skip


def rates() -> table.Panel:
    """How often saves and restarts succeed."""
    sql = f"""
        SELECT
            r.run AS run, r.saves AS saves, r.saves_succeeded / nullIf(r.saves, 0) AS `saves succeeded`,
            r.restarts AS restarts, r.restarts_succeeded / nullIf(r.restarts, 0) AS `restarts succeeded`
        FROM train_recovery_runs AS r
        WHERE {_CHOSEN}
        ORDER BY r.restarts DESC, r.saves DESC
        LIMIT 20
    """
    return rows(
        24,
        "Saves and restarts",
        "Checkpoint saves and restarts of the 20 runs with the newest incidents, and the shares that"
        " succeeded (of a restart: a step was made).",
        sql,
        units={"saves succeeded": "percentunit", "restarts succeeded": "percentunit"},
        links={"run": common.TO_RUN},
    )
