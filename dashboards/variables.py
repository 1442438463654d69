"""The variables of the dashboards: run, what it is compared with, attempt, rank, role, node."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard

from dashboards.parts import RUN
from dashboards.query import query_variable, text_variable

_LABEL: Final = "if(empty(run_name), run, concat(run_name, ', ', formatDateTime(started, '%F %R')))"
NOTHING: Final = "-"
"""Value of ``compare`` that stands for no run."""


def run() -> dashboard.QueryVariable:
    """The 500 runs heard of last; named runs carry their start, for a name may be used again."""
    return query_variable("run", "Run", _runs())


def runs() -> dashboard.QueryVariable:
    """The same; many may be chosen, or all."""
    return query_variable("run", "Run", _runs(), choose_all=True)


def compare() -> dashboard.QueryVariable:
    """A second run, or none."""
    sql = f"""
        SELECT '{NOTHING}' AS run, 'nothing' AS label
        UNION ALL
        SELECT run, label FROM ({_runs()})
    """
    return query_variable("compare", "Compare with", sql)


def _runs() -> str:
    return f"""
        SELECT run, {_LABEL} AS label
        FROM train_runs_latest
        ORDER BY last_time DESC
        LIMIT 500
    """


def attempt() -> dashboard.QueryVariable:
    """The attempts of the chosen run."""
    sql = f"SELECT DISTINCT toString(attempt) FROM train_runs WHERE {RUN} ORDER BY attempt"
    return query_variable("attempt", "Attempt", sql, choose_all=True)


def rank() -> dashboard.QueryVariable:
    """The ranks of the chosen run; -1 is a process without a rank."""
    sql = f"SELECT DISTINCT toString(rank) FROM train_runs WHERE {RUN} ORDER BY rank LIMIT 5000"
    return query_variable("rank", "Rank", sql, choose_all=True)


def role() -> dashboard.QueryVariable:
    """The roles of the chosen run's processes."""
    sql = f"SELECT DISTINCT role FROM train_runs WHERE {RUN} ORDER BY role LIMIT 100"
    return query_variable("role", "Role", sql, choose_all=True)


def node() -> dashboard.QueryVariable:
    """The hosts of the chosen run."""
    sql = f"SELECT DISTINCT node FROM train_runs WHERE {RUN} ORDER BY node LIMIT 2000"
    return query_variable("node", "Node", sql, choose_all=True)


def steps() -> dashboard.TextBoxVariable:
    """What the charts by step show, as ``100-500``; nothing stands for all steps."""
    return text_variable(
        "steps", "Steps", "Which steps the charts by step show, such as 100-500; empty: all."
    )
