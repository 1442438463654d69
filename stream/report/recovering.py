"""When an incident was first to be seen, and how long it took until the run was past it."""

from __future__ import annotations

from typing import Final

from stream.report.ask import Ask
from stream.report.facts import Member, Recovery

_FIRST: Final = """
SELECT toUnixTimestamp64Nano(min(s.time)) AS at, count() AS found FROM train_steps AS s
WHERE run = {run:String} AND rank = {rank:Int32} AND step = {step:Int64}
    AND s.time <= fromUnixTimestamp64Nano({began:Int64})
    AND s.time > fromUnixTimestamp64Nano({began:Int64}) - toIntervalDay(1)
"""
_PARTS: Final = "SELECT id, detect, act, recover FROM train_recovery WHERE run = {run:String}"


def first_sign(ask: Ask, run: str, cause: Member) -> int:
    """When the first value that matched was seen, as far as the rule says so; else when it fired."""
    since = cause.evidence.get("since_step")
    if isinstance(since, bool) or not isinstance(since, (int, float)) or cause.rank is None:
        return cause.began
    found = ask(_FIRST, run=run, rank=cause.rank, step=int(since), began=cause.began)
    return int(found[0]["at"]) if found and found[0]["found"] else cause.began


def of_run(ask: Ask, run: str) -> dict[str, Recovery]:
    """Of each incident of the run, by its id."""
    return {row["id"]: Recovery(row["detect"], row["act"], row["recover"]) for row in ask(_PARTS, run=run)}
