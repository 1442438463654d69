"""The head of the *Run* dashboard: one number each."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat

from dashboards import goodput
from dashboards.common import COLOR_OF_STATE
from dashboards.panels import number
from dashboards.parts import CHOSEN, RUN, STATE, of


def panels() -> list[stat.Panel]:
    """The panels, in order."""
    return [
        state(), attempt(), last_step(), loss(), step_rate(), goodput.of_run(), open_diagnoses(), commands(),
        last_seen(),
    ]  # fmt: skip


def _newest(name: str) -> str:
    """A constant: the newest minute in which this was logged, and the lowest rank that did so.

    So little is read of a long range.
    """
    return f"""WITH (
            SELECT (max(m.time), argMax(m.rank, (m.time, -m.rank)))
            FROM train_steps_1m AS m
            WHERE {of("m", CHOSEN)} AND m.name = '{name}' AND m.time >= $__fromTime - 60
                AND m.time <= $__toTime
        ) AS newest"""


def _of_newest(name: str) -> str:
    return (
        f"{of('s', CHOSEN)} AND s.name = '{name}' AND $__timeFilter_ms(s.time)"
        " AND s.rank = newest.2 AND s.time >= newest.1"
    )


def state() -> stat.Panel:
    """State of the newest attempt."""
    sql = f"SELECT {STATE} AS state FROM train_runs_latest WHERE {RUN}"
    description = (
        "State of the newest attempt; silent when it did not end and was not heard of for two minutes."
    )
    return number(1, "State", description, "string", sql, colors=COLOR_OF_STATE)


def attempt() -> stat.Panel:
    """How often the run was started again."""
    sql = f"SELECT attempt FROM train_runs_latest WHERE {RUN}"
    return number(2, "Attempt", "The newest attempt; 0 is the first start.", "none", sql)


def last_step() -> stat.Panel:
    """The step reached."""
    sql = f"SELECT nullIf(last_step, -1) AS step FROM train_runs_latest WHERE {RUN}"
    return number(3, "Last step", "Highest step of the newest attempt.", "none", sql)


def loss() -> stat.Panel:
    """The newest training loss."""
    sql = f"""
        {_newest("loss")}
        SELECT argMaxOrNull(s.value, (s.time, s.src_offset)) AS loss
        FROM train_steps AS s
        WHERE {_of_newest("loss")}
    """
    description = "The newest training loss in the time range, of the lowest of the chosen ranks."
    return number(4, "Loss", description, "none", sql, decimals=3)


def step_rate() -> stat.Panel:
    """Seconds a step takes now."""
    sql = f"""
        {_newest("step_time")}
        SELECT quantileOrNull(0.5)(s.value) AS seconds
        FROM train_steps AS s
        WHERE {_of_newest("step_time")}
    """
    description = "Median step time in the newest minute that has one, of the lowest of the chosen ranks."
    return number(5, "Step time", description, "s", sql, decimals=3)


def last_seen() -> stat.Panel:
    """How long ago the run was heard of."""
    sql = f"SELECT last_time AS seen FROM train_runs_latest WHERE {RUN}"
    description = "When any rank was heard of last."
    return number(6, "Last seen", description, "dateTimeFromNow", sql)


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
    return number(7, "Open diagnoses", description, "none", sql, alarm=1)


def commands() -> stat.Panel:
    """Commands sent to this run."""
    sql = f"SELECT uniqExact(id) AS commands FROM train_commands WHERE {RUN} AND $__timeFilter_ms(issued)"
    return number(8, "Commands", "Commands sent in the time range.", "none", sql)
