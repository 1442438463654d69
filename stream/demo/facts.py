"""What the history says of a run: everything the checks need, asked from ClickHouse."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

from clickhouse_connect.driver.client import Client

from stream.demo.story import Step

TABLES: Final = (
    "train_steps", "train_resources", "train_heartbeats", "train_diagnoses", "train_commands", "train_acks",
    "train_runs",
)  # fmt: skip
OTEL_TABLES: Final = ("otel_logs", "otel_traces")


@dataclass(frozen=True)
class Checkpoint:
    """One finished ``checkpoint.save`` span."""

    step: int
    path: str
    kind: str
    verified: bool
    ended_ns: int


@dataclass(frozen=True)
class Word:
    """One ``train.lifecycle`` or ``train.stack`` record; ``state`` is None for a stack, ``body`` its text."""

    time_ns: int
    role: str
    rank: int
    attempt: int
    state: str | None
    values: dict[str, str]
    body: str


@dataclass(frozen=True)
class Facts:
    """One run in the history. ``steps`` in the order of their sequence numbers, each number once;
    ``step_rows`` counts the stored losses, so that a step stored twice shows. Both of rank 0; ``ranks`` are
    all that have steps.
    """

    steps: list[Step]
    step_rows: int
    checkpoints: list[Checkpoint]
    diagnoses: list[dict[str, Any]]
    commands: list[dict[str, Any]]
    acks: list[dict[str, Any]]
    rows: dict[str, int] = field(default_factory=dict)
    words: list[Word] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)
    decisions: list[dict[str, Any]] = field(default_factory=list)
    incidents: list[dict[str, Any]] = field(default_factory=list)

    def said(self, state: str, role: str = "supervisor") -> list[Word]:
        """Lifecycle records with this state, in order."""
        return [word for word in self.words if word.state == state and word.role == role]


def gather(client: Client, run: str) -> Facts:
    """Ask for all of it."""
    return Facts(
        steps=_steps(client, run),
        step_rows=_count(client, "train_steps", "run = {run:String} AND rank = 0 AND name = 'loss'", run),
        checkpoints=_checkpoints(client, run),
        diagnoses=_rows(client, "SELECT id, rule, state, step, rank FROM train_diagnoses FINAL", run),
        commands=_rows(client, "SELECT id, action, args FROM train_commands FINAL", run),
        acks=_rows(client, "SELECT command, state, reason, step FROM train_acks FINAL", run),
        rows={
            **{table: _count(client, table, "run = {run:String}", run) for table in TABLES},
            **{table: _count(client, table, _OF_RUN, run) for table in OTEL_TABLES},
        },
        words=_words(client, run),
        ranks=[row["rank"] for row in _rows(client, "SELECT DISTINCT rank FROM train_steps", run)],
        decisions=_rows(client, _DECISIONS, run),
        incidents=_rows(client, "SELECT rule, category, summary, state, outcome FROM train_incidents", run),
    )


_DECISIONS: Final = (
    "SELECT decision, rule, action, diagnosis, reason, toUnixTimestamp64Nano(time) AS at_ns"
    " FROM train_decisions FINAL"
)


_OF_RUN: Final = "ResourceAttributes['train.run.id'] = {run:String}"

_STEPS: Final = """
SELECT seq, any(step), any(toUnixTimestamp64Nano(time)),
       anyIf(value, name = 'loss'), anyIf(value, name = 'grad_norm'), anyIf(value, name = 'learning_rate')
FROM train_steps
WHERE run = {run:String} AND rank = 0 AND name IN ('loss', 'grad_norm', 'learning_rate')
GROUP BY emitter, seq
ORDER BY any(time), seq
"""

_CHECKPOINTS: Final = f"""
SELECT toInt64(SpanAttributes['checkpoint.step']), SpanAttributes['checkpoint.path'],
       SpanAttributes['checkpoint.kind'], SpanAttributes['checkpoint.verified'] = 'true',
       toUnixTimestamp64Nano(Timestamp) + toInt64(Duration)
FROM otel_traces
WHERE SpanName = 'checkpoint.save' AND {_OF_RUN}
ORDER BY Timestamp
"""


_WORDS: Final = f"""
SELECT toUnixTimestamp64Nano(Timestamp), role, rank, attempt, LogAttributes, Body
FROM otel_logs
WHERE EventName IN ('train.lifecycle', 'train.stack') AND {_OF_RUN}
ORDER BY Timestamp
"""


def _words(client: Client, run: str) -> list[Word]:
    rows = client.query(_WORDS, parameters={"run": run}).result_rows
    return [
        Word(time_ns, role, rank, attempt, values.get("lifecycle.state"), values, body)
        for time_ns, role, rank, attempt, values, body in rows
    ]


def _steps(client: Client, run: str) -> list[Step]:
    rows = client.query(_STEPS, parameters={"run": run}).result_rows
    return [Step(*row) for row in rows]


def _checkpoints(client: Client, run: str) -> list[Checkpoint]:
    rows = client.query(_CHECKPOINTS, parameters={"run": run}).result_rows
    return [Checkpoint(step, path, kind, bool(verified), ended) for step, path, kind, verified, ended in rows]


def _rows(client: Client, select: str, run: str) -> list[dict[str, Any]]:
    found = client.query(f"{select} WHERE run = {{run:String}}", parameters={"run": run}).named_results()
    return [{**row, "args": json.loads(row["args"])} if "args" in row else dict(row) for row in found]


def _count(client: Client, table: str, where: str, run: str) -> int:
    query = f"SELECT count() FROM {table} WHERE {where}"
    return int(client.query(query, parameters={"run": run}).result_rows[0][0])
