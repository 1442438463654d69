"""Rows of runs as the history holds them, made of what happened; times are nanoseconds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.dashboards.story import insert

Row = dict[str, Any]
MS = 1_000_000
S = 1_000_000_000
ORDER = (
    "train_runs", "train_steps", "train_resources", "otel_traces", "train_diagnoses", "train_commands",
    "train_acks", "train_decisions", "train_incident_changes",
)  # fmt: skip


def text(ns: int) -> str:
    """A time as ClickHouse reads it."""
    return f"{ns // S}.{ns % S:09}"


@dataclass
class Rows:
    """Rows by table, and how they are put in."""

    of: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))

    def tell(self, url: str) -> None:
        """Insert all."""
        for table in ORDER:
            if self.of[table]:
                insert(url, table, ({k: _plain(k, v) for k, v in row.items()} for row in self.of[table]))


_TIMES = frozenset(["time", "started", "last_time", "Timestamp", "issued", "expires", "began"])


def _plain(name: str, value: Any) -> Any:
    if name == "lifecycle":
        return {"time": text(value[0]), "state": value[1]}
    if name in _TIMES:
        return text(value)
    if isinstance(value, float) and value != value:
        return "nan"
    return value


@dataclass
class Attempt:
    """One attempt of a run, told into ``rows``; ``state``: how its last rank ended."""

    rows: Rows
    run: str
    began: int
    ended: int
    number: int = 0
    state: str = "finished"
    role: str = "trainer"
    rank: int = 0
    name: str = "story"

    def __post_init__(self) -> None:
        self.seen(self.role, self.rank, self.began, self.ended, self.state)

    def seen(self, role: str, rank: int, first: int, last: int, state: str) -> None:
        """A rank, or a supervisor, was there; ``state`` '' where it said nothing."""
        told = {"lifecycle": (last, state)} if state else {}
        self.rows.of["train_runs"].append({
            "run": self.run, "attempt": self.number, "role": role, "rank": rank, "run_name": self.name,
            "world_size": 1, "started": first, "last_time": last, "last_step": -1, **told,
        })  # fmt: skip

    def step(
        self,
        at: int,
        step: int,
        values: Mapping[str, float] | None = None,
        role: str | None = None,
        rank: int | None = None,
    ) -> None:
        """One record of train.step; it always has a loss."""
        who = {"role": self.role if role is None else role, "rank": self.rank if rank is None else rank}
        for name, value in ({"loss": 1.0} | dict(values or {})).items():
            self.rows.of["train_steps"].append({
                "run": self.run, "attempt": self.number, **who, "time": at, "step": step, "name": name,
                "value": value, "seq": len(self.rows.of["train_steps"]),
            })  # fmt: skip

    def gpus(self, count: int) -> None:
        """So many GPUs were seen."""
        for device in range(count):
            self.rows.of["train_resources"].append({
                "run": self.run, "attempt": self.number, "rank": self.rank, "role": self.role, "node": "n",
                "time": self.began, "device": f"GPU-{device}", "name": "hw.gpu.utilization", "value": 0.5,
            })  # fmt: skip

    def span(
        self, name: str, at: int, length: int, identity: str, parent: str = "", rank: int | None = None
    ) -> None:
        """A span of a checkpoint."""
        self.rows.of["otel_traces"].append({
            "Timestamp": at, "SpanName": name, "SpanId": identity, "ParentSpanId": parent, "Duration": length,
            "ServiceName": "trainer", "StatusCode": "Ok",
            "ResourceAttributes": {
                "train.run.id": self.run, "train.attempt": str(self.number), "train.role": self.role,
                "train.rank": str(self.rank if rank is None else rank),
            },
        })  # fmt: skip

    def hang(self, at: int, until: int | None, silent: float = 0.0, category: str = "hang") -> None:
        """A diagnosis fired, after so many silent seconds, and was resolved."""
        identity = f"{self.run}-{self.number}-{at}"
        for state, time in (("firing", at), ("resolved", until)):
            if time is not None:
                self.rows.of["train_diagnoses"].append({
                    "id": identity, "rule": "train-stalled", "category": category, "severity": "critical",
                    "state": state, "run": self.run, "attempt": self.number, "time": time,
                    "evidence": f'{{"silent": {silent}}}',
                })  # fmt: skip

    def pause(self, at: int, resumed: int | None) -> None:
        """The loop was held, and let go."""
        for action, time in (("pause", at), ("resume", resumed)):
            if time is None:
                continue
            command = f"{self.run}-{self.number}-{action}-{at}"
            self.rows.of["train_commands"].append({
                "id": command, "run": self.run, "attempt": self.number, "action": action, "issued": time - MS,
                "expires": time + S,
            })  # fmt: skip
            for state, moment in (("received", time - MS), ("succeeded", time)):
                self.rows.of["train_acks"].append({
                    "command": command, "run": self.run, "attempt": self.number, "rank": self.rank,
                    "executor": "emitter", "state": state, "time": moment,
                })  # fmt: skip


def by_run(rows: Iterable[Mapping[str, Any]], run: str) -> list[Row]:
    """Those of this run."""
    return [dict(row) for row in rows if _run(row) == run]


def _run(row: Mapping[str, Any]) -> str:
    return str(row["run"] if "run" in row else row["ResourceAttributes"]["train.run.id"])
