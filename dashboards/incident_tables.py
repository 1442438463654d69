"""The tables of the *Incidents* dashboard: what stands open, timelines, commands, decisions, answers."""

from __future__ import annotations

from grafana_foundation_sdk.builders import table

from dashboards import common
from dashboards.panels import rows
from dashboards.parts import OVER, RUNS, of, outcomes

_COLORS = {"state": common.COLOR_OF_INCIDENT, "severity": common.COLOR_OF_SEVERITY}
_COLUMNS = """began, state, severity, rule, category, run, run_name AS name, attempt, summary,
            arrayStringConcat(
                arrayMap(x -> JSONExtractString(x, 'action'), JSONExtractArrayRaw(actions)), ', '
            ) AS actions,
            lost_steps AS `steps lost`, lost_seconds AS `time lost`, gpu_seconds / 3600 AS `GPU hours`"""
_UNITS = {"began": "dateTimeAsIso", "ended": "dateTimeAsIso", "time lost": "s", "GPU hours": "h"}


def open_incidents() -> table.Panel:
    """Incidents that are not over, the gravest first."""
    sql = f"""
        SELECT {_COLUMNS}, id AS incident
        FROM train_incidents
        WHERE {RUNS} AND $__timeFilter_ms(began)
            AND NOT {OVER}
        ORDER BY severity = 'critical' DESC, began DESC
        LIMIT 100
    """
    return rows(
        30,
        "Open incidents",
        "Incidents of the time range that are not over: critical ones first, then the newest; 100 at most.",
        sql,
        units=_UNITS,
        colors=_COLORS,
        links={"run": common.TO_RUN},
    )


def all_incidents() -> table.Panel:
    """Incidents of the range, the newest first."""
    sql = f"""
        SELECT {_COLUMNS}, ended, outcome, id AS incident
        FROM train_incidents
        WHERE {RUNS} AND $__timeFilter_ms(began)
        ORDER BY began DESC
        LIMIT 200
    """
    return rows(
        31,
        "Incidents",
        "Incidents that began in the time range, newest first; 200 at most.",
        sql,
        units=_UNITS,
        colors=_COLORS,
        links={"run": common.TO_RUN},
    )


def timeline() -> table.Panel:
    """What happened in the incidents, line by line."""
    sql = f"""
        SELECT
            parseDateTime64BestEffortOrNull(JSONExtractString(line, 'time'), 3) AS time,
            JSONExtractString(line, 'kind') AS kind, JSONExtractString(line, 'text') AS text, run,
            rule AS cause, id AS incident
        FROM (
            SELECT
                i.run AS run, i.id AS id, i.rule AS rule, arrayJoin(JSONExtractArrayRaw(i.timeline)) AS line
            FROM train_incidents AS i
            WHERE {of("i", RUNS)} AND $__timeFilter_ms(i.began)
        )
        ORDER BY time DESC
        LIMIT 300
    """
    return rows(
        32,
        "Timeline",
        "What happened in incidents of the time range, newest first; 300 lines at most.",
        sql,
        units={"time": "dateTimeAsIso"},
        links={"run": common.TO_RUN},
    )


def commands() -> table.Panel:
    """What was sent, and what became of it."""
    sql = f"""
        WITH
            sent AS (
                SELECT
                    c.id AS id, c.issued AS issued, c.action AS action, c.args AS args, c.rule AS rule,
                    c.run AS run
                FROM train_commands AS c
                WHERE {of("c", RUNS)} AND $__timeFilter_ms(c.issued)
                ORDER BY c.issued DESC
                LIMIT 1 BY c.id
                LIMIT 100
            ),
            {outcomes("command IN (SELECT id FROM sent)")}
        SELECT
            sent.issued AS sent, sent.action AS action, sent.args AS arguments,
            if(empty(outcome.state), 'no answer', outcome.state) AS outcome, outcome.ranks AS ranks,
            if(empty(outcome.command), NULL, dateDiff('millisecond', sent.issued, outcome.answered) / 1000)
                AS `answered after`,
            outcome.duration AS `ran for`, outcome.step AS `at step`, sent.rule AS rule, sent.run AS run,
            outcome.reason AS reason
        FROM sent
        LEFT JOIN outcome ON outcome.command = sent.id
        ORDER BY sent.issued DESC
    """
    return rows(
        33,
        "Commands",
        "Commands, newest first: what was asked, how the ranks ended it, how long it took; 100 at most.",
        sql,
        units={"sent": "dateTimeAsIso", "answered after": "s", "ran for": "s"},
        colors={"outcome": common.COLOR_OF_ACK},
        links={"run": common.TO_RUN},
    )


def ledger() -> table.Panel:
    """Who decided what, and why."""
    sql = f"""
        SELECT
            d.time AS time, d.decision AS decision, d.action AS action,
            if(empty(d.author), 'policy', d.author) AS `decided by`, d.key AS key, d.rule AS rule,
            d.rule_version AS version, d.run AS run, d.reason AS reason
        FROM train_decisions AS d
        WHERE {of("d", RUNS)} AND $__timeFilter_ms(d.time)
        ORDER BY d.time DESC, d.src_offset DESC
        LIMIT 1 BY d.id
        LIMIT 300
    """
    return rows(
        34,
        "Ledger of decisions",
        "Every decision, newest first: what, about which rule in which version, by whom, why; 300 at most.",
        sql,
        units={"time": "dateTimeAsIso"},
        links={"run": common.TO_RUN},
    )


def acks() -> table.Panel:
    """What ranks answered."""
    sql = f"""
        SELECT
            a.time AS time, a.state AS state, a.rank AS rank, a.executor AS executor, a.step AS step,
            a.duration AS `ran for`, a.reason AS reason, a.run AS run, a.command AS command
        FROM train_acks AS a
        WHERE {of("a", RUNS)} AND $__timeFilter_ms(a.time)
        ORDER BY a.time DESC
        LIMIT 300
    """
    return rows(
        35,
        "Acknowledgements",
        "What each rank said of each command, newest first; 300 at most.",
        sql,
        units={"time": "dateTimeAsIso", "ran for": "s"},
        colors={"state": common.COLOR_OF_ACK},
        links={"run": common.TO_RUN},
    )


def words() -> table.Panel:
    """What people said."""
    sql = """
        SELECT
            w.time AS time, w.kind AS said, w.author AS author, w.command AS command, w.reason AS reason,
            w.silence AS silence, w.run_mode AS mode
        FROM train_control AS w
        WHERE $__timeFilter_ms(w.time)
        ORDER BY w.time DESC
        LIMIT 1 BY w.id
        LIMIT 200
    """
    return rows(
        36,
        "Words of people",
        "Approvals, rejections, silences, modes and resets of the breaker, newest first; 200 at most. What"
        " was not believed stands in the ledger as refused.",
        sql,
        units={"time": "dateTimeAsIso"},
    )
