"""The *Incidents and remediation* dashboard: what stands open, what was done, what it cost."""

from __future__ import annotations

from grafana_foundation_sdk.builders import barchart, dashboard, stat, timeseries

from dashboards import common, incident_tables, marks, recovery, variables
from dashboards.charts import bars
from dashboards.common import INCIDENTS_UID
from dashboards.layout import Line, Section, curves, lay_out
from dashboards.panels import curve, number
from dashboards.parts import OVER, RUNS, ended_by_action, outcomes

INCIDENTS = f"FROM train_incidents WHERE {RUNS} AND $__timeFilter_ms(began)"


def build() -> dashboard.Dashboard:
    """The dashboard."""
    board = common.new_dashboard(
        INCIDENTS_UID, "Incidents, what was done about them, who decided, what they cost.", since="now-24h"
    )
    board.with_variable(variables.runs())
    head = [open_now(), waiting(), over(), succeeded(), gpu_hours(), steps_lost(), breaker(), refused()]
    sections = [
        Section("", [Line(3, head)]),
        Section("Now", [Line(8, [incident_tables.open_incidents()])]),
        Section(
            "What was done",
            [Line(8, [over_time(), by_cause(), by_action()]), Line(8, [incident_tables.commands()])],
        ),
        Section(
            "Time and cost",
            [
                Line(8, [recovery.times(), cost(), decisions()]),
                Line(8, [recovery.incidents(), recovery.rates()], (16, 8)),
            ],
        ),
        Section(
            "Told one by one",
            [
                Line(9, [incident_tables.timeline(), incident_tables.ledger()]),
                Line(8, [incident_tables.acks(), incident_tables.words()]),
                Line(8, [incident_tables.all_incidents()]),
            ],
        ),
    ]
    for annotation in marks.of_run(curves(sections), RUNS):
        board.annotation(annotation)
    lay_out(board, sections)
    return board


def open_now() -> stat.Panel:
    """Incidents that are not over."""
    sql = f"SELECT countIf(NOT {OVER}) AS incidents {INCIDENTS}"
    description = "Incidents that began in the time range and are not over."
    return number(1, "Open", description, "none", sql, alarm=1)


def waiting() -> stat.Panel:
    """Incidents that wait for a person."""
    sql = f"SELECT countIf(state = 'waiting') AS incidents {INCIDENTS}"
    description = "Incidents that wait for a person: `trainwarden commands approve` or reject."
    return number(2, "Waiting for approval", description, "none", sql, alarm=1)


def over() -> stat.Panel:
    """Incidents that are over."""
    sql = f"SELECT countIf(state = 'resolved') AS incidents {INCIDENTS}"
    return number(3, "Resolved", "Incidents of the time range after which the run went on.", "none", sql)


def succeeded() -> stat.Panel:
    """Share of commands that succeeded."""
    sql = f"""
        WITH
            sent AS (
                SELECT DISTINCT id FROM train_commands WHERE {RUNS} AND $__timeFilter_ms(issued)
            ),
            {outcomes("command IN (SELECT id FROM sent)")}
        SELECT if(count() = 0, NULL, countIf(state = 'succeeded') / count()) AS share
        FROM outcome
        WHERE state NOT IN ('received', 'scheduled', 'running')
    """
    description = "Of the commands that ended, those that succeeded on every rank."
    return number(4, "Commands succeeded", description, "percentunit", sql)


def gpu_hours() -> stat.Panel:
    """GPU time that incidents cost."""
    sql = f"SELECT sum(gpu_seconds) / 3600 AS hours {INCIDENTS}"
    description = "GPU hours lost to incidents of the time range, where the number of GPUs is known."
    return number(5, "GPU hours lost", description, "h", sql, decimals=2)


def steps_lost() -> stat.Panel:
    """Steps that had to be made again."""
    sql = f"SELECT sum(lost_steps) AS steps {INCIDENTS}"
    return number(6, "Steps lost", "Steps that were made and had to be made again.", "none", sql)


def breaker() -> stat.Panel:
    """Whether the circuit breaker is open."""
    sql = """
        SELECT if(argMax(decision, (time, src_offset)) = 'breaker_tripped', 'tripped', 'closed') AS breaker
        FROM train_decisions
        WHERE decision IN ('breaker_tripped', 'breaker_reset') AND time <= $__toTime_ms
    """
    description = "Tripped: too many actions failed or were taken, nothing is sent until a person resets it."
    colors = {"tripped": common.RED, "closed": common.GREEN}
    return number(7, "Circuit breaker", description, "string", sql, colors=colors)


def refused() -> stat.Panel:
    """Words that were not believed."""
    sql = """
        SELECT countIf(decision = 'refused') AS refused FROM train_decisions WHERE $__timeFilter_ms(time)
    """
    description = "Approvals, rejections, silences and resets that were not believed or came too late."
    return number(8, "Refused words", description, "none", sql, alarm=1)


def over_time() -> timeseries.Panel:
    """When incidents began."""
    sql = f"""
        SELECT $__timeInterval_ms(began) AS time, severity AS series, toFloat64(count()) AS value
        {INCIDENTS}
        GROUP BY time, series
        ORDER BY time
    """
    description = "Incidents by when they began, and how grave their cause is."
    return curve(10, "Incidents", description, "short", sql, bars=True, stacked=True, bounds=(0, None))


def by_cause() -> barchart.Panel:
    """What begins incidents."""
    sql = f"""
        SELECT
            rule, toFloat64(countIf({OVER} AND state = 'resolved')) AS resolved,
            toFloat64(countIf({OVER} AND state != 'resolved')) AS `not resolved`,
            toFloat64(countIf(NOT {OVER})) AS open
        {INCIDENTS}
        GROUP BY rule
        ORDER BY count() DESC, rule
        LIMIT 20
    """
    description = "Incidents by the rule that found their cause, and how they ended; the 20 most frequent."
    return bars(11, "Causes", description, "short", sql, stacked="normal")


def by_action() -> barchart.Panel:
    """How often each action succeeds."""
    sql = ended_by_action(f"{RUNS} AND $__timeFilter_ms(c.issued)")
    description = "Commands by action, and how the ranks ended them."
    return bars(12, "Actions", description, "short", sql, stacked="normal")


def cost() -> timeseries.Panel:
    """What incidents cost, by cause."""
    sql = f"""
        SELECT $__timeInterval_ms(began) AS time, rule AS series, sum(ifNull(gpu_seconds, 0)) / 3600 AS value
        {INCIDENTS}
        GROUP BY time, series
        ORDER BY time
    """
    description = "GPU hours lost, by when the incident began and the rule that found its cause."
    return curve(
        20, "GPU hours lost by cause", description, "h", sql, bars=True, stacked=True, bounds=(0, None)
    )


def decisions() -> timeseries.Panel:
    """What was decided when."""
    sql = f"""
        SELECT $__timeInterval_ms(d.time) AS time, d.decision AS series, toFloat64(uniqExact(d.id)) AS value
        FROM train_decisions AS d
        WHERE {RUNS} AND $__timeFilter_ms(d.time)
        GROUP BY time, series
        ORDER BY time
    """
    description = "Decisions of the arbiter and of people, by kind."
    return curve(21, "Decisions", description, "short", sql, bars=True, stacked=True, bounds=(0, None))
