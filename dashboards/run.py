"""The *Run* dashboard: one run's curves, resources, heartbeats, logs, diagnoses and commands."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from dashboards import common, run_curves, run_numbers, run_tables
from dashboards.common import BLUE, FLEET_UID, RED, RUN_UID
from dashboards.parts import RUN
from dashboards.query import Annotation, query_variable


def build() -> dashboard.Dashboard:
    """The dashboard."""
    board = common.new_dashboard(
        "Run", RUN_UID, "One run: curves, resources, diagnoses, commands.", since="now-1h"
    )
    board.link(common.link_to("Fleet", FLEET_UID))
    for variable in (run_variable(), attempt_variable(), rank_variable()):
        board.with_variable(variable)
    for annotation in (diagnoses_annotation(), commands_annotation()):
        board.annotation(annotation)
    for panel in (*run_numbers.panels(), *run_curves.panels(), *run_tables.panels()):
        board.with_panel(panel)
    return board


def run_variable() -> dashboard.QueryVariable:
    """The 500 runs heard of last; named runs carry their start, for a name may be used again."""
    sql = """
        SELECT
            run, if(empty(run_name), run, concat(run_name, ', ', formatDateTime(started, '%F %R'))) AS label
        FROM train_runs_latest
        ORDER BY last_time DESC
        LIMIT 500
    """
    return query_variable("run", "Run", sql)


def attempt_variable() -> dashboard.QueryVariable:
    """The attempts of the chosen run."""
    sql = f"SELECT DISTINCT toString(attempt) FROM train_runs WHERE {RUN} ORDER BY attempt"
    return query_variable("attempt", "Attempt", sql, choose_all=True)


def rank_variable() -> dashboard.QueryVariable:
    """The ranks of the chosen run; -1 is a process without a rank."""
    sql = f"SELECT DISTINCT toString(rank) FROM train_runs WHERE {RUN} ORDER BY rank LIMIT 5000"
    return query_variable("rank", "Rank", sql, choose_all=True)


def diagnoses_annotation() -> Annotation:
    """A line where a diagnosis began to fire."""
    sql = f"""
        SELECT
            min(d.time) AS time, concat(any(d.rule), ': ', any(d.summary)) AS text, any(d.severity) AS tags,
            'Diagnosis' AS title
        FROM train_diagnoses AS d
        WHERE {RUN} AND d.state = 'firing' AND $__timeFilter_ms(d.time)
        GROUP BY d.id
        ORDER BY time
        LIMIT 200
    """
    return Annotation("Diagnoses", RED, sql, run_curves.ANNOTATED)


def commands_annotation() -> Annotation:
    """A line where a command was sent."""
    sql = f"""
        SELECT
            min(c.issued) AS time, concat(any(c.action), ' ', any(c.args)) AS text, any(c.rule) AS tags,
            'Command' AS title
        FROM train_commands AS c
        WHERE {RUN} AND $__timeFilter_ms(c.issued)
        GROUP BY c.id
        ORDER BY time
        LIMIT 200
    """
    return Annotation("Commands", BLUE, sql, run_curves.ANNOTATED)
