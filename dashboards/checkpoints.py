"""The *Checkpoints* dashboard: saves and loads of one run, how long, how big, whether they can be trusted."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard, heatmap, stat, table, timeseries

from dashboards import common, marks, variables
from dashboards.charts import heat
from dashboards.common import CHECKPOINTS_UID
from dashboards.layout import Line, Section, curves, lay_out
from dashboards.panels import curve, number, rows
from dashboards.parts import CHOSEN, of
from dashboards.zoom import FOLD, row_of

_ATTRIBUTE: Final = "t.SpanAttributes['checkpoint.{}']"
_FAILED: Final = "t.StatusCode = 'Error'"
_GOOD: Final = f"NOT {_FAILED} AND {_ATTRIBUTE.format('verified')} = 'true'"
_ENDED: Final = "addNanoseconds(t.Timestamp, t.Duration)"


def _spans(names: str) -> str:
    chosen = f"{of('t', CHOSEN)} AND t.SpanName IN ({names}) AND $__timeFilter_ms(t.Timestamp)"
    return f"FROM otel_traces AS t\nWHERE {chosen}"


_SAVES: Final = _spans("'checkpoint.save'")
_BOTH: Final = _spans("'checkpoint.save', 'checkpoint.load'")
_PARTS: Final = _spans(
    "'checkpoint.save', 'checkpoint.stage', 'checkpoint.write', 'checkpoint.verify', 'checkpoint.load'"
)


def build() -> dashboard.Dashboard:
    """The dashboard."""
    board = common.new_dashboard(
        CHECKPOINTS_UID, "Saves and loads of one run: duration, size, failures, what can be gone back to.",
        since="now-6h",
    )  # fmt: skip
    for variable in (variables.run(), variables.attempt(), variables.rank()):
        board.with_variable(variable)
    head = [saved(), failed(), under_way(), verified_at(), verified_step(), median(), size(), stalled()]
    sections = [
        Section("", [Line(3, head)]),
        Section(
            "Time and size",
            [
                Line(8, [duration(), stall()]),
                Line(8, [written(), rate(), age()]),
                Line(8, [outcomes(), by_rank()]),
            ],
        ),
        Section("One by one", [Line(9, [saves()]), Line(7, [loads(), trouble()])]),
    ]
    for annotation in marks.of_run(curves(sections)):
        board.annotation(annotation)
    lay_out(board, sections)
    return board


def saved() -> stat.Panel:
    """How many saves ended well."""
    sql = f"SELECT countIf(NOT {_FAILED}) AS saves\n{_SAVES}"
    return number(1, "Saves", "Saves of the chosen ranks that ended well, by when they began.", "none", sql)


def failed() -> stat.Panel:
    """How many saves and loads failed."""
    sql = f"SELECT countIf({_FAILED}) AS failed\n{_BOTH}"
    return number(2, "Failed", "Saves and loads that ended with an error.", "none", sql, alarm=1)


def under_way() -> stat.Panel:
    """Saves that began and did not end."""
    sql = f"""
        SELECT greatest(0, begun - (SELECT toInt64(count()) {_SAVES})) AS open
        FROM (
            SELECT toInt64(count()) AS begun
            FROM otel_logs AS l
            WHERE {of("l", CHOSEN)} AND l.EventName = 'checkpoint.started'
                AND toStartOfFiveMinutes(l.Timestamp) >= toStartOfFiveMinutes($__fromTime)
                AND $__timeFilter_ms(l.Timestamp)
        )
    """
    description = "Saves that began in the time range and of which no end was heard: under way, or hung."
    return number(3, "Not ended", description, "none", sql)


def verified_at() -> stat.Panel:
    """How old the newest trusted checkpoint is."""
    sql = f"SELECT maxOrNullIf({_ENDED}, {_GOOD}) AS verified\n{_SAVES}"
    description = "When the newest checkpoint was saved that was read back and found right."
    return number(4, "Newest verified", description, "dateTimeFromNow", sql)


def verified_step() -> stat.Panel:
    """The step one can go back to."""
    sql = f"SELECT maxOrNullIf(toInt64OrNull({_ATTRIBUTE.format('step')}), {_GOOD}) AS step\n{_SAVES}"
    return number(5, "Verified step", "Highest step of a verified checkpoint.", "none", sql)


def median() -> stat.Panel:
    """How long a save takes."""
    sql = f"SELECT quantileOrNull(0.5)(t.Duration) / 1e9 AS seconds\n{_SAVES}"
    return number(6, "Save takes", "Median duration of a save.", "s", sql)


def size() -> stat.Panel:
    """How big a checkpoint is."""
    sql = f"SELECT argMaxOrNull(toFloat64OrNull({_ATTRIBUTE.format('bytes')}), t.Timestamp) AS size\n{_SAVES}"
    return number(7, "Size", "Bytes of the newest save of a chosen rank.", "bytes", sql)


def stalled() -> stat.Panel:
    """Share of the time that training stood still for checkpoints."""
    sql = f"""
        SELECT sum(blocked) / greatest(1, dateDiff('second', min(began), max(ended))) AS share
        FROM ({_blocking()})
    """
    description = (
        "Time in which training stood still for a save or load (its staging where that is marked), as a share"
        " of the time from the first to the last of them; of the slowest rank each time."
    )
    return number(8, "Stall share", description, "percentunit", sql, alarm=0.1)


def _blocking() -> str:
    """For each save or load of all ranks: when it began, its end, and how long training stood still."""
    return f"""
            SELECT min(one.begun) AS began, max(one.done) AS ended, max(one.still) AS blocked
            FROM (
                SELECT
                    any({_ATTRIBUTE.format("step")}) AS step, max(t.SpanName = 'checkpoint.load') AS load,
                    min(t.Timestamp) AS begun, max({_ENDED}) AS done,
                    if(
                        countIf(t.SpanName = 'checkpoint.stage') > 0,
                        sumIf(t.Duration, t.SpanName = 'checkpoint.stage'), max(t.Duration)
                    ) / 1e9 AS still
                {_PARTS}
                GROUP BY t.TraceId, t.rank
            ) AS one
            GROUP BY one.load, one.step, toStartOfMinute(one.begun)"""


def duration() -> timeseries.Panel:
    """How long each part took."""
    sql = f"""
        SELECT
            $__timeInterval_ms(t.Timestamp) AS time, replaceOne(t.SpanName, 'checkpoint.', '') AS series,
            max(t.Duration) / 1e9 AS value
        {_PARTS}
        GROUP BY time, series
        ORDER BY time
    """
    description = "Longest save and load of the chosen ranks, and their parts: stage, write, verify."
    return curve(10, "Duration", description, "s", sql, bounds=(0, None))


def stall() -> timeseries.Panel:
    """Time that training stood still."""
    sql = f"""
        SELECT $__timeInterval_ms(began) AS time, 'stall' AS series, sum(blocked) AS value
        FROM ({_blocking()})
        GROUP BY time
        ORDER BY time
    """
    description = "Seconds in which training stood still for saves and loads, of the slowest rank each time."
    return curve(11, "Stall", description, "s", sql, bars=True, bounds=(0, None))


def written() -> timeseries.Panel:
    """Bytes of each save."""
    sql = f"""
        SELECT
            $__timeInterval_ms(t.Timestamp) AS time, {_ATTRIBUTE.format("kind")} AS series,
            sum(toFloat64OrNull({_ATTRIBUTE.format("bytes")})) AS value
        {_SAVES} AND {_ATTRIBUTE.format("bytes")} != ''
        GROUP BY time, series
        ORDER BY time
    """
    description = "Bytes saved by the chosen ranks, by kind of checkpoint."
    return curve(12, "Bytes saved", description, "bytes", sql, bars=True, stacked=True, bounds=(0, None))


def rate() -> timeseries.Panel:
    """How fast they are written."""
    sql = f"""
        SELECT
            $__timeInterval_ms(t.Timestamp) AS time, 'slowest rank' AS series,
            min(toFloat64OrNull({_ATTRIBUTE.format("bytes")}) / (t.Duration / 1e9)) AS value
        {_SAVES} AND {_ATTRIBUTE.format("bytes")} != '' AND t.Duration > 0
        GROUP BY time
        ORDER BY time
    """
    description = "Bytes per second of the slowest save: its size over its whole duration."
    return curve(13, "Save rate", description, "Bps", sql, bounds=(0, None))


def age() -> timeseries.Panel:
    """How old the newest trusted checkpoint was at each moment."""
    sql = f"""
        WITH
            (
                SELECT ($__fromTime_ms, least($__toTime_ms, max(last_time)))
                FROM train_runs
                WHERE run = ${{run:singlequote}}
            ) AS ends,
            marks AS (
                SELECT
                    ends.1 + toIntervalMillisecond(
                        toInt64(number * dateDiff('millisecond', ends.1, ends.2) / 200)
                    ) AS at,
                    1 AS one
                FROM numbers(201)
            ),
            good AS (SELECT {_ENDED} AS done, 1 AS one {_SAVES} AND {_GOOD})
        SELECT marks.at AS time, 'age' AS series, dateDiff('millisecond', good.done, marks.at) / 1000 AS value
        FROM marks
        ASOF INNER JOIN good ON good.one = marks.one AND good.done <= marks.at
        ORDER BY time
    """
    description = (
        "How long ago the newest verified checkpoint of the time range was saved: what a failure would cost."
    )
    return curve(14, "Age of the newest verified checkpoint", description, "s", sql, bounds=(0, None))


def outcomes() -> timeseries.Panel:
    """Saves and loads by how they ended."""
    sql = f"""
        SELECT
            $__timeInterval_ms(t.Timestamp) AS time,
            concat(replaceOne(t.SpanName, 'checkpoint.', ''), if({_FAILED}, ' failed', ' succeeded'))
                AS series,
            toFloat64(count()) AS value
        {_BOTH}
        GROUP BY time, series
        ORDER BY time
    """
    description = "Saves and loads of the chosen ranks by when they began and how they ended."
    return curve(15, "Saves and loads", description, "short", sql, bars=True, stacked=True, bounds=(0, None))


def by_rank() -> heatmap.Panel:
    """Duration of each rank's saves."""
    sql = f"""
        WITH {FOLD}
        SELECT
            $__timeInterval_ms(t.Timestamp) AS time, {row_of("t.rank")} AS series,
            max(t.Duration) / 1e9 AS value
        {_SAVES}
        GROUP BY time, series
        ORDER BY time, series
    """
    description = (
        "Longest save of each rank. Of more than 64 ranks, neighbours share a row: the worst of them."
    )
    return heat(16, "Save duration by rank", description, "s", sql)


def saves() -> table.Panel:
    """The newest saves, with their parts."""
    part = "sumIf(t.Duration, t.SpanName = 'checkpoint.{}') / 1e9"
    own = "t.SpanName = 'checkpoint.save'"
    sql = f"""
        SELECT
            min(t.Timestamp) AS began, anyIf({_ATTRIBUTE.format("step")}, {own}) AS step, any(t.rank) AS rank,
            anyIf({_ATTRIBUTE.format("kind")}, {own}) AS kind,
            if(anyIf(t.StatusCode, {own}) = 'Error', 'failed', 'succeeded') AS outcome,
            anyIf({_ATTRIBUTE.format("verified")}, {own}) AS verified,
            anyIf(t.Duration, {own}) / 1e9 AS duration, {part.format("stage")} AS stage,
            {part.format("write")} AS write, {part.format("verify")} AS verify,
            anyIf(toFloat64OrNull({_ATTRIBUTE.format("bytes")}), {own}) AS bytes,
            anyIf({_ATTRIBUTE.format("path")}, {own}) AS path, anyIf(t.StatusMessage, {own}) AS message
        {_spans("'checkpoint.save', 'checkpoint.stage', 'checkpoint.write', 'checkpoint.verify'")}
        GROUP BY t.TraceId
        HAVING countIf({own}) > 0
        ORDER BY began DESC
        LIMIT 200
    """
    return rows(
        20,
        "Newest saves",
        "Saves of the chosen ranks, newest first, with the time of their parts; 200 at most.",
        sql,
        units={
            "began": "dateTimeAsIso", "duration": "s", "stage": "s", "write": "s", "verify": "s",
            "bytes": "bytes",
        },
        colors={"outcome": common.COLOR_OF_ACK, "verified": {"true": common.GREEN, "false": common.YELLOW}},
    )  # fmt: skip


def loads() -> table.Panel:
    """The newest loads."""
    sql = f"""
        SELECT
            t.Timestamp AS began, {_ATTRIBUTE.format("step")} AS step, t.rank AS rank, t.attempt AS attempt,
            if({_FAILED}, 'failed', 'succeeded') AS outcome, t.Duration / 1e9 AS duration,
            {_ATTRIBUTE.format("path")} AS path, t.StatusMessage AS message
        {_spans("'checkpoint.load'")}
        ORDER BY t.Timestamp DESC
        LIMIT 100
    """
    return rows(
        21,
        "Newest loads",
        "Loads of the chosen ranks, newest first; 100 at most.",
        sql,
        units={"began": "dateTimeAsIso", "duration": "s"},
        colors={"outcome": common.COLOR_OF_ACK},
    )


def trouble() -> table.Panel:
    """What rules found about checkpoints."""
    sql = f"""
        SELECT
            min(d.time) AS began, argMax(d.state, (d.time, d.src_offset)) AS state,
            any(d.severity) AS severity, any(d.rule) AS rule, nullIf(any(d.rank), -1) AS rank,
            argMax(d.summary, (d.time, d.src_offset)) AS summary
        FROM train_diagnoses AS d
        WHERE {of("d", "run = ${run:singlequote}")} AND startsWith(d.category, 'checkpoint')
            AND $__timeFilter_ms(d.time)
        GROUP BY d.id
        ORDER BY began DESC
        LIMIT 100
    """
    return rows(
        22,
        "Diagnoses about checkpoints",
        "What rules found about checkpoints of this run, newest first.",
        sql,
        units={"began": "dateTimeAsIso"},
        colors={"state": common.COLOR_OF_DIAGNOSIS, "severity": common.COLOR_OF_SEVERITY},
    )
