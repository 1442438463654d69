"""Log lines for a report: cut in SQL, so that a line of a megabyte costs nothing."""

from __future__ import annotations

from typing import Final

from emitter.vocabulary import events
from stream.report.ask import Ask, Row
from stream.report.facts import LogLine
from stream.report.plain import LINE

MOST: Final = 80
_AROUND_NS: Final = 3_600_000_000_000
"""What a supervisor says may come before and after all that its run says."""

_OF_RUN: Final = """
run = {run:String} AND Timestamp >= fromUnixTimestamp64Nano({since:Int64})
AND Timestamp <= fromUnixTimestamp64Nano({until:Int64})
"""
_LINES: Final = f"""
SELECT
    toUnixTimestamp64Nano(Timestamp) AS at, rank, SeverityNumber AS severity, EventName AS event,
    substringUTF8(Body, 1, {LINE + 1}) AS body, lengthUTF8(Body) AS size,
    substringUTF8(arrayStringConcat(arrayMap(
        name -> concat(name, ' ', substringUTF8(LogAttributes[name], 1, {LINE})),
        arrayFilter(name -> mapContains(LogAttributes, name), {{said:Array(String)}})), ', '),
        1, {LINE + 1}) AS more
FROM otel_logs
WHERE {_OF_RUN} AND EventName NOT IN {{quiet:Array(String)}}
"""
_WORST: Final = _LINES + " AND SeverityNumber >= 13 ORDER BY Timestamp DESC LIMIT {most:UInt32}"
_NEAR: Final = (
    _LINES + " ORDER BY SeverityNumber >= 13 DESC, abs(toUnixTimestamp64Nano(Timestamp) - {near:Int64})"
    " LIMIT {most:UInt32}"
)
_COUNTS: Final = f"""
SELECT
    multiIf(SeverityNumber >= 17, 'error', SeverityNumber >= 13, 'warning', 'info') AS severity,
    count() AS lines
FROM otel_logs WHERE {_OF_RUN} AND EventName IN ('train.log', '') GROUP BY severity
"""
_LOST: Final = f"""
SELECT sum(arraySum(arrayMap(value -> toUInt64OrZero(value), mapValues(mapFilter(
    (name, value) -> startsWith(name, '{events.LOST_PREFIX}'), LogAttributes))))) AS lost
FROM otel_logs WHERE {_OF_RUN} AND EventName = '{events.EMITTER_REPORT}'
"""
_SAID: Final = (
    events.LIFECYCLE_STATE, events.EXIT_CAUSE, events.EXIT_CODE, events.EXIT_SIGNAL, events.SUPERVISOR_REASON,
    events.SUPERVISOR_RESUME, events.EXCEPTION_TYPE, events.EXCEPTION_MESSAGE, events.STACK_REASON,
)  # fmt: skip
_QUIET: Final = (events.CHECKPOINT_STARTED, events.EMITTER_REPORT, events.HEARTBEAT)


def around(ask: Ask, run: str, since: int, until: int, near: int) -> list[LogLine]:
    """The warnings and errors between these times, then what is nearest to a time; in their order."""
    asked = {"run": run, "since": since, "until": until, "near": near, "most": MOST}
    return _lines(ask(_NEAR, said=list(_SAID), quiet=list(_QUIET), **asked))


def worst(ask: Ask, run: str, since: int, until: int) -> list[LogLine]:
    """The newest warnings and errors of a run."""
    asked = {"run": run, "since": since - _AROUND_NS, "until": until + _AROUND_NS, "most": MOST}
    return _lines(ask(_WORST, said=list(_SAID), quiet=list(_QUIET), **asked))


def counts(ask: Ask, run: str, since: int, until: int) -> dict[str, int]:
    """How many lines there are, by severity."""
    rows = ask(_COUNTS, run=run, since=since - _AROUND_NS, until=until + _AROUND_NS)
    return {row["severity"]: int(row["lines"]) for row in rows}


def lost(ask: Ask, run: str, since: int, until: int) -> int:
    """How many records the run's emitters say they lost."""
    rows = ask(_LOST, run=run, since=since - _AROUND_NS, until=until + _AROUND_NS)
    return int(rows[0]["lost"] or 0) if rows else 0


def _lines(rows: list[Row]) -> list[LogLine]:
    return sorted((_line(row) for row in rows), key=lambda line: line.at)


def _line(row: Row) -> LogLine:
    text = "\n".join(filter(None, (row["more"], row["body"])))
    size = max(int(row["size"]), len(text))
    return LogLine(int(row["at"]), int(row["rank"]), int(row["severity"]), row["event"], text, size)
