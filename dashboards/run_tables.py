"""The tables and logs of the *Run* dashboard: diagnoses, commands, ranks, log lines."""

from __future__ import annotations

from grafana_foundation_sdk.builders import logs, table

from dashboards import common
from dashboards.panels import lines, rows
from dashboards.parts import ATTEMPTS, CHOSEN, RANKS, RUN, outcomes


def diagnoses() -> table.Panel:
    """What rules found."""
    sql = f"""
        SELECT
            min(d.time) AS began, argMax(d.state, (d.time, d.src_offset)) AS state,
            any(d.severity) AS severity, any(d.rule) AS rule, argMin(d.step, d.time) AS step,
            nullIf(any(d.rank), -1) AS rank,
            argMax(d.summary, (d.time, d.src_offset)) AS summary,
            argMax(d.evidence, (d.time, d.src_offset)) AS evidence,
            arrayStringConcat(any(d.`then`), ', ') AS `then`,
            arrayStringConcat(any(d.suggestions), ' ') AS suggestions
        FROM train_diagnoses AS d
        WHERE {RUN} AND {ATTEMPTS} AND $__timeFilter_ms(d.time)
        GROUP BY d.id
        ORDER BY began DESC
        LIMIT 100
    """
    return rows(
        21,
        "Diagnoses",
        "Diagnoses of this run, newest first: when it began, what fires now, and what the rule asks for.",
        sql,
        units={"began": "dateTimeAsIso"},
        colors={"state": common.COLOR_OF_DIAGNOSIS, "severity": common.COLOR_OF_SEVERITY},
    )


def commands() -> table.Panel:
    """What the run was told, and what its ranks answered."""
    sql = f"""
        WITH
            sent AS (
                SELECT c.id AS id, c.issued AS issued, c.action AS action, c.args AS args, c.rule AS rule
                FROM train_commands AS c
                WHERE {RUN} AND {ATTEMPTS} AND $__timeFilter_ms(c.issued)
                ORDER BY c.issued DESC
                LIMIT 1 BY c.id
                LIMIT 100
            ),
            {outcomes(RUN)}
        SELECT
            sent.issued AS sent, sent.action AS action, sent.args AS arguments,
            if(empty(outcome.state), 'no answer', outcome.state) AS outcome, outcome.ranks AS ranks,
            if(empty(outcome.command), NULL, dateDiff('millisecond', sent.issued, outcome.answered) / 1000)
                AS `answered after`,
            outcome.duration AS `ran for`, outcome.step AS `at step`, sent.rule AS rule,
            outcome.reason AS reason
        FROM sent
        LEFT JOIN outcome ON outcome.command = sent.id
        ORDER BY sent.issued DESC
    """
    return rows(
        22,
        "Commands",
        "Commands of this run, newest first: what was asked, how the ranks ended it, how long it took.",
        sql,
        units={"sent": "dateTimeAsIso", "answered after": "s", "ran for": "s"},
        colors={"outcome": common.COLOR_OF_ACK},
    )


def ranks() -> table.Panel:
    """What each rank did last, the longest silent first."""
    sql = f"""
        SELECT
            nullIf(t.rank, -1) AS rank, t.role AS role, argMax(t.node, t.attempt) AS node,
            argMax(tupleElement(t.said, 'state'), t.attempt) AS state, max(t.attempt) AS attempt,
            nullIf(argMax(t.step, t.attempt), -1) AS step, max(t.heard) AS `last seen`
        FROM (
            SELECT
                attempt, role, rank, max(node) AS node, max(last_step) AS step, max(last_time) AS heard,
                max(lifecycle) AS said
            FROM train_runs
            WHERE {RUN} AND {ATTEMPTS} AND {RANKS}
            GROUP BY attempt, role, rank
        ) AS t
        GROUP BY t.rank, t.role
        ORDER BY `last seen`, rank
        LIMIT 100
    """
    return rows(
        23,
        "Ranks",
        "What was heard of each rank last, longest silent first, 100 at most.",
        sql,
        units={"last seen": "dateTimeFromNow"},
    )


def log_lines() -> logs.Panel:
    """The newest log lines, and what the run said of itself."""
    sql = f"""
        SELECT
            l.Timestamp AS timestamp, if(empty(l.SeverityText), 'info', lower(l.SeverityText)) AS level,
            if(empty(l.Body), concat(l.EventName, ' ', toString(l.LogAttributes)), l.Body) AS body
        FROM otel_logs AS l
        WHERE {CHOSEN} AND toStartOfFiveMinutes(l.Timestamp) >= toStartOfFiveMinutes($__fromTime)
            AND $__timeFilter_ms(l.Timestamp)
        ORDER BY l.Timestamp DESC
        LIMIT 200
    """
    description = "The newest 200 log lines, stacks and lifecycle events of the chosen ranks."
    return lines(24, "Logs", description, sql)
