"""One run out of the history: how it stands, its curves, incidents, checkpoints, evaluations and hardware."""

from __future__ import annotations

from typing import Any, Final

from stream.goodput import goodput
from stream.ledger import book as books
from stream.ledger.runs import in_history
from stream.report import about_incident, loglines, recovering
from stream.report.ask import Ask, Row, ledger_of
from stream.report.curves import Speaker, curves, speaker
from stream.report.facts import Evaluation, Hardware, RuleCount, RunFacts, Saves, Used
from stream.report.ruletext import Shelf

INCIDENTS: Final = 20
"""So many are told in full, the newest."""
_NODES: Final = 32

_RUN: Final = """
SELECT
    run, run_name, attempt, state, world_size, ranks, last_step,
    toUnixTimestamp64Nano(started) AS started, toUnixTimestamp64Nano(last_time) AS last_time
FROM train_runs_latest WHERE run = {run:String}
"""
_INCIDENTS: Final = "SELECT uniqExact(id) AS found FROM train_incident_changes WHERE run = {run:String}"
_RULES: Final = """
SELECT
    rule, argMax(severity, time) AS severity, count() AS times, toUnixTimestamp64Nano(min(d.time)) AS first,
    toUnixTimestamp64Nano(max(d.time)) AS last, argMax(substringUTF8(summary, 1, 600), time) AS summary
FROM train_diagnoses AS d FINAL WHERE run = {run:String} AND state = 'firing'
GROUP BY rule ORDER BY first LIMIT 100
"""
_EVALUATIONS: Final = """
SELECT
    name, countIf(isFinite(value)) AS values, argMax((value, step), time) AS last,
    minIf(value, isFinite(value)) AS low, maxIf(value, isFinite(value)) AS high
FROM train_evals WHERE run = {run:String}
GROUP BY name HAVING values > 0 ORDER BY name LIMIT 40
"""
_SAVES: Final = """
SELECT
    count() AS tried, countIf(StatusCode = 'Error') AS failed,
    countIf(SpanAttributes['checkpoint.verified'] = 'true') AS verified,
    avgOrDefault(Duration) / 1e9 AS seconds,
    maxOrNullIf(toInt64OrZero(SpanAttributes['checkpoint.step']),
        SpanAttributes['checkpoint.verified'] = 'true'
        AND SpanAttributes['checkpoint.kind'] != 'forensic') AS last_verified
FROM otel_traces WHERE run = {run:String} AND SpanName = 'checkpoint.save'
    AND Timestamp >= fromUnixTimestamp64Nano({since:Int64})
    AND Timestamp <= fromUnixTimestamp64Nano({until:Int64})
"""
_PLACES: Final = """
SELECT node, uniqExact(rank) AS ranks FROM train_runs WHERE run = {run:String} AND rank >= 0 AND node != ''
GROUP BY node ORDER BY node
"""
_GPUS: Final = """
SELECT uniqExact(node, device) AS gpus FROM train_resources_1m WHERE run = {run:String} AND device != ''
"""
_USED: Final = """
SELECT name, sum(total) / sum(count) AS mean, max(high) AS high
FROM train_resources_1m WHERE run = {run:String} AND name IN {names:Array(String)}
GROUP BY name HAVING sum(count) > 0
"""
_NAMES: Final = (
    "hw.gpu.utilization", "hw.gpu.memory.usage", "hw.gpu.temperature", "system.cpu.utilization",
    "process.memory.usage", "system.memory.utilization",
)  # fmt: skip


def find(ask: Ask, wanted: str) -> str:
    """The id of the run of this id or name. Raises NoRunError."""
    return in_history(ledger_of(ask), wanted).id


def row_of(ask: Ask, run: str) -> Row:
    """The run as ``train_runs_latest`` has it, times in Unix nanoseconds."""
    (row,) = ask(_RUN, run=run)
    return row


def facts(ask: Ask, run: str, shelf: Shelf) -> RunFacts:
    """All about it."""
    row = row_of(ask, run)
    who = speaker(ask, run)
    since, until = int(row["started"]), int(row["last_time"])
    found = ask(_INCIDENTS, run=run)
    records = about_incident.records(ask, books.INCIDENT, "run = {run:String}", INCIDENTS, run=run)
    recoveries = recovering.of_run(ask, run) if records else {}
    incidents = [about_incident.facts(ask, one, shelf, recoveries, whole=False) for one in records]
    members = [member for one in incidents for member in (one.cause, *one.symptoms)]
    return RunFacts(
        id=run, name=row["run_name"], state=row["state"], attempt=int(row["attempt"]), started=since,
        last_time=until, last_step=int(row["last_step"]), speaker=who, incidents=incidents,
        more_incidents=int(found[0]["found"]) - len(incidents), rules_fired=_rules(ask, run),
        curves=_curves(ask, run, who, since, until), evaluations=evaluations(ask, run),
        saves=_saves(ask, run, since, until), hardware=hardware(ask, run, row),
        logs=loglines.worst(ask, run, since, until), log_counts=loglines.counts(ask, run, since, until),
        telemetry_lost=loglines.lost(ask, run, since, until),
        rules=shelf.all((member.rule, member.version) for member in members),
        goodput=goodput(ledger_of(ask), run),
    )  # fmt: skip


def _curves(ask: Ask, run: str, who: Speaker | None, since: int, until: int) -> list[Any]:
    return curves(ask, run, who, since, until) if who is not None else []


def _rules(ask: Ask, run: str) -> list[RuleCount]:
    return [
        RuleCount(one["rule"], one["severity"], int(one["times"]), one["first"], one["last"], one["summary"])
        for one in ask(_RULES, run=run)
    ]


def evaluations(ask: Ask, run: str) -> list[Evaluation]:
    """What its evaluations said, by name."""
    return [
        Evaluation(one["name"], int(one["values"]), one["last"][0], one["last"][1], one["low"], one["high"])
        for one in ask(_EVALUATIONS, run=run)
    ]


def _saves(ask: Ask, run: str, since: int, until: int) -> Saves:
    (one,) = ask(_SAVES, run=run, since=since, until=until)
    return Saves(
        int(one["tried"]), int(one["failed"]), int(one["verified"]), one["seconds"], one["last_verified"]
    )


def hardware(ask: Ask, run: str, row: Row) -> Hardware:
    """What it ran on."""
    places = [one["node"] for one in ask(_PLACES, run=run)]
    gpus = ask(_GPUS, run=run)
    used = {one["name"]: one for one in ask(_USED, run=run, names=list(_NAMES))}
    return Hardware(
        int(row["ranks"]), int(row["world_size"]), places[:_NODES], len(places[_NODES:]),
        int(gpus[0]["gpus"]),
        [Used(name, used[name]["mean"], used[name]["high"]) for name in _NAMES if name in used],
    )  # fmt: skip
