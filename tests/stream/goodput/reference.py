"""Where wall time went, in plain Python: the time line is cut at every change, each piece is of one part."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from tests.stream.goodput.rows import Row, Rows, by_run

PARTS = (
    "setup", "productive", "recomputed", "data_wait", "checkpoint", "hang", "paused", "restart", "idle",
)  # fmt: skip
STANDING = ("hang", "paused", "checkpoint")
NEVER = 2**62
Record = dict[str, Any]


def parts_of(rows: Rows, run: str) -> dict[int, dict[str, int]]:
    """Nanoseconds of each part by attempt, with ``wall``, ``steps`` and ``recomputed_steps``."""
    tables = {table: by_run(found, run) for table, found in rows.of.items()}
    lives = _lives(tables["train_runs"])
    found, reached = {}, -1
    for number in sorted(lives):
        records = _records(tables["train_steps"], number)
        standing = _standstills(tables, number, lives[number], records["who"])
        found[number], reached = _attempt(lives[number], records["steps"], standing, reached)
    return found


def _lives(seen: Sequence[Row]) -> dict[int, dict[str, Any]]:
    attempts: dict[int, list[Row]] = defaultdict(list)
    for row in seen:
        attempts[row["attempt"]].append(row)
    numbers, lives = sorted(attempts), {}
    for place, number in enumerate(numbers):
        ranks = attempts[number]
        following = attempts[numbers[place + 1]] if place + 1 < len(numbers) else None
        lives[number] = _life(ranks, min(row["started"] for row in following) if following else None)
    return lives


def _life(ranks: Sequence[Row], following: int | None) -> dict[str, Any]:
    said = [row["lifecycle"][1] for row in ranks if "lifecycle" in row]
    ended_well = "failed" in said or ("killed" not in said and "started" not in said and "finished" in said)
    began = min(row["started"] for row in ranks)
    newest = max(row["last_time"] for row in ranks)
    own = [row["last_time"] for row in ranks if row["role"] != "supervisor"]
    alive = max(own) if own else newest
    ended = alive if ended_well else newest
    ended = max(began, min(ended, following if following is not None else ended))
    watched = [row["lifecycle"][1] for row in ranks if row["role"] == "supervisor" and "lifecycle" in row]
    gone = following is not None or "killed" in said or any(s in ("exited", "gave_up") for s in watched)
    return {
        "began": began, "ended": ended, "until": ended if following is None else max(ended, following),
        "lost": (max(began, min(alive, ended)), ended) if gone and not ended_well else None,
    }  # fmt: skip


def _records(steps: Sequence[Row], number: int) -> dict[str, Any]:
    mine = [row for row in steps if row["attempt"] == number]
    if not mine:
        return {"who": None, "steps": []}
    who = min({(row["role"] != "trainer", row["rank"], row["role"]) for row in mine})
    chosen = [row for row in mine if (row["rank"], row["role"]) == who[1:]]
    counts = Counter(row["name"] for row in chosen)
    marker = max(counts, key=lambda name: (counts[name], name == "loss", name))
    records: dict[tuple[int, int], Record] = {}
    for row in chosen:
        if row["name"] in ("step_time", "data_time", marker):
            record = records.setdefault((row["time"], row["step"]), {"at": row["time"], "step": row["step"]})
            if math.isfinite(row["value"]) and row["value"] >= 0:
                record[row["name"]] = int(row["value"] * 1e9)
    return {"who": who[1:], "steps": [records[key] for key in sorted(records)]}


def _standstills(
    tables: Mapping[str, list[Row]], number: int, life: Mapping[str, Any], who: tuple[int, str] | None
) -> list[tuple[str, int, int]]:
    found = [("hang", *life["lost"])] if life["lost"] else []
    diagnoses: dict[str, dict[str, Row]] = defaultdict(dict)
    for row in tables.get("train_diagnoses", ()):
        if row["attempt"] == number and row["category"] in ("hang", "nccl_timeout"):
            diagnoses[row["id"]][row["state"]] = row
    for both in diagnoses.values():
        silent = int(float(both["firing"]["evidence"].split(":")[1].strip(" }")) * 1e9)
        found.append(("hang", both["firing"]["time"] - silent, both.get("resolved", {"time": NEVER})["time"]))
    found += _pauses(tables, number)
    return found + _saves(tables.get("otel_traces", ()), number, who)


def _pauses(tables: Mapping[str, list[Row]], number: int) -> list[tuple[str, int, int]]:
    action = {row["id"]: row["action"] for row in tables.get("train_commands", ())}
    done = [
        (row["time"], action[row["command"]])
        for row in tables.get("train_acks", ())
        if row["attempt"] == number and row["state"] == "succeeded"
    ]
    freed = sorted(time for time, what in done if what == "resume")
    return [
        ("paused", time, next((moment for moment in freed if moment >= time), NEVER))
        for time, what in done
        if what == "pause"
    ]


def _saves(spans: Sequence[Row], number: int, who: tuple[int, str] | None) -> list[tuple[str, int, int]]:
    mine = [
        span
        for span in spans
        if (r := span["ResourceAttributes"])["train.attempt"] == str(number)
        and (int(r["train.rank"]), r["train.role"]) == who
    ]
    staged = {span["ParentSpanId"] for span in mine if span["SpanName"] == "checkpoint.stage"}
    return [
        ("checkpoint", span["Timestamp"], span["Timestamp"] + span["Duration"])
        for span in mine
        if span["SpanName"] == "checkpoint.stage"
        or (span["SpanName"] in ("checkpoint.save", "checkpoint.load") and span["SpanId"] not in staged)
    ]


def _attempt(
    life: Mapping[str, Any], steps: Sequence[Record], standing: Sequence[tuple[str, int, int]], reached: int
) -> tuple[dict[str, int], int]:
    began, ended = life["began"], life["ended"]
    total: dict[str, int] = dict.fromkeys((*PARTS, "steps", "recomputed_steps"), 0)
    total["wall"] = life["until"] - began
    total["restart"] = life["until"] - ended
    # Nothing stands beyond the first step that comes after it.
    stood = [
        (STANDING.index(kind), start, min([until, *(one["at"] for one in steps if one["at"] > start)]))
        for kind, start, until in standing
    ]
    before, start = None, began
    for place, one in enumerate(steps):
        stop = min(ended, max(start, one["at"]))
        took = one.get("step_time", 0 if place == 0 else NEVER)
        middle = stop - min(took, stop - start)
        again = one["step"] >= 0 and (
            one["step"] < reached or (one["step"] == reached and before != one["step"])
        )
        _give(total, _cut(start, middle, stood), "setup" if place == 0 else "idle")
        kinds = _cut(middle, stop, stood)
        free = kinds.pop("", 0)
        waited = min(free, one.get("data_time", 0))
        total["data_wait"] += waited
        total["recomputed" if again else "productive"] += free - waited
        _give(total, kinds, "idle")
        total["steps"] += before != one["step"]
        total["recomputed_steps"] += before != one["step"] and again
        reached, before, start = max(reached, one["step"]), one["step"], stop
    _give(total, _cut(start, ended, stood), "idle" if steps else "setup")
    return total, reached


def _give(total: dict[str, int], kinds: dict[str, int], rest: str) -> None:
    for kind, length in kinds.items():
        part = rest if not kind or (rest == "setup" and kind == "checkpoint") else kind
        total[part] += length


def _cut(start: int, stop: int, stood: Sequence[tuple[int, int, int]]) -> dict[str, int]:
    """The length of each kind of standstill within, the gravest where several hold; '' is none."""
    edges = sorted(
        {start, stop, *(min(stop, max(start, at)) for _, begin, end in stood for at in (begin, end))}
    )
    found: dict[str, int] = defaultdict(int)
    for left, right in pairwise(edges):
        kinds = [kind for kind, begin, end in stood if begin <= left and right <= end]
        found[STANDING[min(kinds)] if kinds else ""] += right - left
    return dict(found)
