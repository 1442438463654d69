"""The head of the *Run* dashboard: one number each."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat

from dashboards import common
from dashboards.fleet import STATE
from dashboards.parts import CHOSEN, RUN


def panels() -> list[stat.Panel]:
    """The panels, in order."""
    return [state(), attempt(), last_step(), loss(), step_rate(), last_seen(), open_diagnoses(), commands()]


def _place(index: int) -> common.Place:
    return (index * 3, 0, 3, 3)


def state() -> stat.Panel:
    """State of the newest attempt."""
    sql = f"SELECT {STATE} AS state FROM train_runs_latest WHERE {RUN}"
    description = (
        "State of the newest attempt; silent when it did not end and was not heard of for two minutes."
    )
    return common.number(1, "State", description, _place(0), "string", sql, colors=common.COLOR_OF_STATE)


def attempt() -> stat.Panel:
    """How often the run was started again."""
    sql = f"SELECT attempt FROM train_runs_latest WHERE {RUN}"
    return common.number(2, "Attempt", "The newest attempt; 0 is the first start.", _place(1), "none", sql)


def last_step() -> stat.Panel:
    """The step reached."""
    sql = f"SELECT nullIf(last_step, -1) AS step FROM train_runs_latest WHERE {RUN}"
    return common.number(3, "Last step", "Highest step of the newest attempt.", _place(2), "none", sql)


def loss() -> stat.Panel:
    """The newest training loss."""
    sql = f"""
        SELECT argMaxOrNull(value, (time, src_offset)) AS loss
        FROM train_steps
        WHERE {CHOSEN} AND name = 'loss' AND $__timeFilter_ms(time)
    """
    panel = common.number(4, "Loss", "The newest training loss in the time range.", _place(3), "none", sql)
    panel.decimals(3)
    return panel


def step_rate() -> stat.Panel:
    """Seconds a step takes now."""
    sql = f"""
        SELECT quantileOrNull(0.5)(value) AS seconds
        FROM (
            SELECT value
            FROM train_steps
            WHERE {CHOSEN} AND name = 'step_time' AND $__timeFilter_ms(time)
            ORDER BY time DESC
            LIMIT 100
        )
    """
    return common.number(5, "Step time", "Median of the newest 100 step times.", _place(4), "s", sql)


def last_seen() -> stat.Panel:
    """How long ago the run was heard of."""
    sql = f"SELECT last_time AS seen FROM train_runs_latest WHERE {RUN}"
    description = "When any rank was heard of last."
    return common.number(6, "Last seen", description, _place(5), "dateTimeFromNow", sql)


def open_diagnoses() -> stat.Panel:
    """Diagnoses that fire now."""
    sql = f"""
        SELECT countIf(newest = 'firing') AS open
        FROM (
            SELECT argMax(state, (time, src_offset)) AS newest
            FROM train_diagnoses
            WHERE {RUN} AND $__timeFilter_ms(time)
            GROUP BY id
        )
    """
    description = "Diagnoses that began to fire in the time range and are not resolved."
    return common.number(7, "Open diagnoses", description, _place(6), "none", sql, alarm=1)


def commands() -> stat.Panel:
    """Commands sent to this run."""
    sql = f"SELECT uniqExact(id) AS commands FROM train_commands WHERE {RUN} AND $__timeFilter_ms(issued)"
    return common.number(8, "Commands", "Commands sent in the time range.", _place(7), "none", sql)
