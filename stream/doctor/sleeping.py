"""Looks for rules that never had anything to look at: what they need never came into the history."""

from __future__ import annotations

from typing import Any, Final

from emitter.vocabulary import events
from stream.doctor.finding import Finding, ok, skipped, warning
from stream.offline.asleep import Asleep, Names, asleep
from stream.rulelang.fields import DIAGNOSIS, EVENTS
from stream.rulelang.model import RuleSet

CHECK: Final = "silent rules"
_NAMED: Final = 6

_NUMBERS: Final = {events.STEP: "train_steps", events.EVAL: "train_evals", events.RESOURCE: "train_resources"}
_ROWS: Final = {
    events.HEARTBEAT: "train_heartbeats",
    events.METRIC: "train_metrics",
    DIAGNOSIS: "train_diagnoses",
}
_LOGS: Final = """
SELECT DISTINCT EventName FROM otel_logs WHERE Timestamp >= now64(9) - toIntervalSecond({seconds:UInt64})
UNION DISTINCT
SELECT DISTINCT SpanName FROM otel_traces WHERE Timestamp >= now64(9) - toIntervalSecond({seconds:UInt64})
"""


def look(client: Any, rules: RuleSet, since_s: float) -> Finding:
    """Fields are known for steps, evaluations and resources; of other events, whether they came at all."""
    seen = names(client, since_s)
    if not seen:
        return skipped(CHECK, "nothing was recorded in that time")
    found = asleep(rules, seen)
    blind = [one for one in found if one.fields]
    waiting = len(found) - len(blind)
    rest = f"{len(rules.rules) - len(found)} have what they need; {waiting} wait for events that did not come"
    if not blind:
        return ok(CHECK, rest)
    return warning(
        CHECK, f"{len(blind)} never could look: {_told(blind)}; {rest}",
        "log these fields (docs/emitter.md has their names), or give yours with init(aliases=...)",
    )  # fmt: skip


def _told(blind: list[Asleep]) -> str:
    by_fields: dict[tuple[str, ...], list[str]] = {}
    for one in blind:
        by_fields.setdefault(one.fields, []).append(one.rule)
    rows = sorted(by_fields.items(), key=lambda row: -len(row[1]))
    told = [f"{', '.join(rules)} ({' and '.join(fields)} never came)" for fields, rules in rows[:_NAMED]]
    return "; ".join([*told, f"{len(rows) - _NAMED} more"] if len(rows) > _NAMED else told)


def names(client: Any, since_s: float) -> Names:
    """By event, the names that came with it lately."""
    seconds = {"seconds": int(since_s)}
    recent = "time >= now64(9) - toIntervalSecond({seconds:UInt64})"
    found: dict[str, set[str]] = {}
    for event, table in _NUMBERS.items():
        rows = client.query(
            f"SELECT DISTINCT name FROM {table} WHERE {recent}", parameters=seconds
        ).result_rows
        if rows:
            # Of its texts and of who sent it nothing is asked for here.
            found[event] = {name for (name,) in rows} | {"step"}
    for event, table in _ROWS.items():
        if client.query(f"SELECT 1 FROM {table} WHERE {recent} LIMIT 1", parameters=seconds).result_rows:
            found[event] = set(EVENTS[event])
    for (name,) in client.query(_LOGS, parameters=seconds).result_rows:
        # Log lines of any SDK have no name.
        event = name if name in EVENTS else events.LOG
        found.setdefault(event, set(EVENTS[event]))
    return found
