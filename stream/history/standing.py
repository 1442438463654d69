"""How runs stand: rows of many, and all that is shown of one; times in RFC 3339, numbers as JSON has them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from emitter.vocabulary import cloudevents
from stream.history.ledger import Query, Run

Found = dict[str, Any]

_COLUMNS: Final = (
    "run, run_name, attempt, state, world_size, ranks, last_step,"
    " toUnixTimestamp64Nano(started) AS started_ns, toUnixTimestamp64Nano(last_time) AS last_time_ns"
)
_ONE: Final = f"SELECT {_COLUMNS} FROM train_runs_latest WHERE run = {{run:String}}"
_ATTEMPTS: Final = """
SELECT run, uniqExact(attempt) AS attempts FROM train_runs WHERE run IN {runs:Array(String)} GROUP BY run
"""
_INCIDENTS: Final = """
SELECT run, count() AS incidents, countIf(ended IS NULL) AS open
FROM train_incidents WHERE run IN {runs:Array(String)} GROUP BY run
"""
_DIAGNOSES: Final = """
SELECT
    rule, argMax(severity, time) AS severity, uniqExact(id) AS times,
    toUnixTimestamp64Nano(max(d.time)) AS last_ns, argMax(substringUTF8(summary, 1, 2000), time) AS summary
FROM train_diagnoses AS d WHERE run = {run:String} AND state = 'firing'
GROUP BY rule ORDER BY last_ns DESC, rule
"""
_LAST: Final = """
SELECT s.name AS name, argMaxMerge(s.last_value) AS value, max(s.last_step) AS step
FROM train_series AS s
WHERE s.run = {run:String} AND (s.attempt, s.role, s.rank) IN (
    SELECT f.attempt, f.role, f.rank FROM train_reference AS f WHERE f.run = {run:String}
    ORDER BY f.attempt DESC LIMIT 1
)
GROUP BY s.name ORDER BY s.name
"""


@dataclass(frozen=True)
class Wanted:
    """Which runs: a pattern as of a shell on id or name, states, how lately heard of, how many."""

    pattern: str | None = None
    states: Sequence[str] = ()
    seconds: float | None = None
    limit: int = 30


def many(ask: Run, wanted: Wanted) -> list[Found]:
    """These runs, the newest first."""
    clauses, parameters = ["1"], dict[str, Any]()
    if wanted.pattern is not None:
        clauses.append("(match(run, {pattern:String}) OR match(run_name, {pattern:String}))")
        parameters["pattern"] = as_regex(wanted.pattern)
    if wanted.states:
        clauses.append("state IN {states:Array(String)}")
        parameters["states"] = list(wanted.states)
    if wanted.seconds is not None:
        clauses.append("last_time >= now64(9) - toIntervalSecond({seconds:UInt64})")
        parameters["seconds"] = int(wanted.seconds)
    sql = (
        f"SELECT {_COLUMNS} FROM train_runs_latest WHERE {' AND '.join(clauses)}"
        f" ORDER BY started DESC, run LIMIT {int(wanted.limit)}"
    )
    found = [told(row) for row in ask(Query("run", sql, parameters))]
    ids = {"runs": [one["run"] for one in found]}
    attempts = {row["run"]: row["attempts"] for row in ask(Query("run", _ATTEMPTS, ids))}
    troubles = {row["run"]: row for row in ask(Query("run", _INCIDENTS, ids))}
    for one in found:
        trouble = troubles.get(one["run"], {})
        one["attempts"] = attempts.get(one["run"], 0)
        one["incidents"] = trouble.get("incidents", 0)
        one["open_incidents"] = trouble.get("open", 0)
    return found


def one(ask: Run, run: str) -> Found:
    """The run of this id, with what was diagnosed and what it logged last."""
    (row,) = ask(Query("run", _ONE, {"run": run}))
    diagnoses = [
        {name: value for name, value in found.items() if name != "last_ns"}
        | {"last": moment(found["last_ns"])}
        for found in ask(Query("diagnoses", _DIAGNOSES, {"run": run}))
    ]
    last = {
        found["name"]: {"value": number(found["value"]), "step": found["step"]}
        for found in ask(Query("series", _LAST, {"run": run}))
    }
    return told(row) | {"diagnoses": diagnoses, "last": last}


def told(row: Mapping[str, Any]) -> Found:
    """A row with its times as texts."""
    kept = {name: value for name, value in row.items() if not name.endswith("_ns")}
    times = {name[:-3]: moment(value) for name, value in row.items() if name.endswith("_ns")}
    return kept | times


def moment(ns: int) -> str:
    """As messages say it."""
    return cloudevents.rfc3339(int(ns))


def number(value: float) -> float | str:
    """JSON has no NaN and no infinities: they are texts."""
    return value if math.isfinite(value) else str(value)


def as_regex(pattern: str) -> str:
    """``gpt-*`` as ClickHouse's ``match`` takes it; ``*`` and ``?`` are all that is special."""
    parts = {"*": ".*", "?": "."}
    return "(?s)^" + "".join(parts.get(one) or _plain(one) for one in pattern) + "$"


def _plain(one: str) -> str:
    return one if one.isalnum() or one == "_" or ord(one) > 127 else f"\\x{ord(one):02x}"
