"""A run as the history would hold it: learns, explodes, is diagnosed, told to roll back, and recovers."""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tests.fixtures import http_request

Row = dict[str, Any]

STEP_S = 0.025
FAULT_AT = 200
NOT_A_NUMBER_AT = 216
ROLLBACK_AT = 220
ROLLBACK_TO = 175


def insert(clickhouse: str, table: str, rows: Iterable[Row]) -> None:
    """Insert rows into a table over HTTP; times are Unix seconds."""
    lines = "\n".join(json.dumps(row) for row in rows)
    _post(clickhouse, lines.encode(), query=f"INSERT INTO {table} FORMAT JSONEachRow")


def select(clickhouse: str, sql: str) -> str:
    """The answer to a query, as tab-separated text."""
    return _post(clickhouse, sql.encode())


def _post(clickhouse: str, body: bytes, **parameters: str) -> str:
    base, _, database = clickhouse.removeprefix("http://").partition("/")
    query = urlencode({"database": database or "default", **parameters})
    answer = http_request("POST", f"http://{base}/?{query}", body)
    assert answer.status == 200, answer.body.decode()
    return answer.body.decode()


def moment(seconds: float) -> str:
    """A time as ClickHouse reads it into a DateTime64(9)."""
    return f"{seconds:.9f}"


@dataclass(frozen=True)
class Story:
    """One run that ended ``ended_ago_s`` before ``now`` (Unix seconds)."""

    run: str
    name: str = "char-gpt"
    steps: int = 360
    ended_ago_s: float = 0.0
    now: float = 0.0
    fault: bool = True
    state: str = "finished"
    seed: int = 7

    @property
    def began(self) -> float:
        """When the first step was."""
        return (self.now or time.time()) - self.ended_ago_s - self.steps * STEP_S

    def at(self, position: int) -> float:
        """When the step call at this position was."""
        return self.began + position * STEP_S

    def step_at(self, position: int) -> int:
        """The step number there: it goes back at the rollback."""
        back = self.fault and position >= ROLLBACK_AT
        return position - ROLLBACK_AT + ROLLBACK_TO if back else position

    def tables(self) -> Mapping[str, list[Row]]:
        """All rows, by table."""
        common = {
            "train_steps": self._steps(),
            "train_evals": self._evals(),
            "train_resources": self._resources(),
            "train_heartbeats": self._heartbeats(),
            "train_runs": [self._run_row()],
            "otel_logs": self._logs(),
        }
        return {**common, **self._remediation()} if self.fault else common

    def tell(self, clickhouse: str) -> None:
        """Insert all rows."""
        for table, rows in self.tables().items():
            insert(clickhouse, table, rows)

    def step_row(self, position: int, name: str, value: float) -> Row:
        """One row of train_steps."""
        number: float | str = value if math.isfinite(value) else "nan"
        return self._row(self.at(position), position) | {
            "step": self.step_at(position), "name": name, "value": number,
        }  # fmt: skip

    def _row(self, at: float, offset: int = 0) -> Row:
        return {
            "run": self.run, "attempt": 0, "rank": 0, "node": "host-1", "role": "trainer", "time": moment(at),
            "emitter": f"{self.run}-e0", "seq": offset, "src_topic": "otlp_logs", "src_partition": 0,
            "src_offset": offset,
        }  # fmt: skip

    def _steps(self) -> list[Row]:
        noise = random.Random(self.seed)
        return [
            self.step_row(position, name, value)
            for position in range(self.steps)
            for name, value in self.scalars(position, noise).items()
        ]

    def scalars(self, position: int, noise: random.Random) -> dict[str, float]:
        """What a rank says of the step there."""
        step = self.step_at(position)
        loss = 2.05 + 2.8 * math.exp(-step / 25) + noise.gauss(0, 0.03)
        norm = 0.9 + 3 * math.exp(-step / 30) + abs(noise.gauss(0, 0.08))
        rate = 6e-3 * min(1, (step + 1) / 30)
        if self.fault and FAULT_AT <= position < ROLLBACK_AT:
            growth = 2.4 ** (position - FAULT_AT)
            loss, norm, rate = loss + growth, norm * 3 * growth, rate * 100
            loss = math.nan if position >= NOT_A_NUMBER_AT else loss
        elif self.fault and position >= ROLLBACK_AT:
            rate *= 0.3
        step_time = STEP_S + abs(noise.gauss(0, 0.002))
        return {
            "loss": loss, "grad_norm": norm, "learning_rate": rate, "step_time": step_time,
            "data_time": step_time * 0.08, "tokens_per_second": 2048 / step_time,
        }  # fmt: skip

    def _evals(self) -> list[Row]:
        return [
            self._row(self.at(position), position)
            | {"step": self.step_at(position), "name": name, "value": value}
            for position in range(50, self.steps, 50)
            for name, value in (("eval_loss", 2.2 + 2 * math.exp(-position / 40)), ("eval_accuracy", 0.3))
        ]

    def _resources(self) -> list[Row]:
        names = {
            ("", "system.cpu.utilization"): 0.62, ("", "process.cpu.utilization"): 1.9,
            ("", "system.memory.usage"): 6.4e9, ("", "process.memory.usage"): 1.1e9,
            ("GPU-0", "hw.gpu.utilization"): 0.93, ("GPU-0", "hw.gpu.memory.usage"): 7.1e10,
            ("GPU-1", "hw.gpu.utilization"): 0.88, ("GPU-1", "hw.gpu.memory.usage"): 6.9e10,
        }  # fmt: skip
        return [
            self._row(self.at(position), position)
            | {"device": device, "name": name, "value": value * (1 + 0.04 * math.sin(position / 30))}
            for position in range(0, self.steps, 20)
            for (device, name), value in names.items()
        ]

    def _heartbeats(self) -> list[Row]:
        return [
            self._row(self.at(position), position)
            | {"step": self.step_at(position), "phase": "train" if position else "init", "progress_age": 0.02}
            for position in range(0, self.steps, 40)
        ]

    def _run_row(self) -> Row:
        ended = moment(self.at(self.steps - 1))
        return {
            "run": self.run, "attempt": 0, "role": "trainer", "rank": 0, "run_name": self.name,
            "node": "host-1", "world_size": 1, "started": moment(self.began), "last_time": ended,
            "last_step": self.step_at(self.steps - 1), "lifecycle": {"time": ended, "state": self.state},
        }  # fmt: skip

    def _logs(self) -> list[Row]:
        resource = {
            "service.name": "trainer", "train.run.id": self.run, "train.attempt": "0", "train.rank": "0",
            "host.name": "host-1", "train.role": "trainer",
        }  # fmt: skip
        said = [(0, "INFO", "train.log", "device cpu, 117,351 parameters, 464,970 characters")]
        said += [(p, "INFO", "train.log", f"step {p}") for p in range(50, self.steps, 50)]
        if self.fault:
            said += [
                (FAULT_AT, "WARN", "train.log", "learning rate is now 0.6"),
                (NOT_A_NUMBER_AT, "ERROR", "train.log", "loss is nan"),
                (ROLLBACK_AT, "INFO", "train.log", "rollback: loaded checkpoint of step 175"),
            ]
        said.append((self.steps - 1, "", "train.lifecycle", ""))
        return [
            {
                "Timestamp": moment(self.at(position)), "SeverityText": severity, "ServiceName": "trainer",
                "Body": body, "EventName": event, "ResourceAttributes": resource, "src_topic": "otlp_logs",
                "LogAttributes": {"lifecycle.state": self.state} if event == "train.lifecycle" else {},
                "src_partition": 0, "src_offset": index,
            }
            for index, (position, severity, event, body) in enumerate(said)
        ]  # fmt: skip

    def _remediation(self) -> dict[str, list[Row]]:
        found = [
            self._diagnosis("gradient-explosion", "grad_explosion", "warning", FAULT_AT + 1, ["set", "save"]),
            self._diagnosis("loss-not-finite", "nan_loss", "critical", NOT_A_NUMBER_AT, ["rollback"]),
        ]
        resolved = found[0] | {
            "state": "resolved",
            "time": moment(self.at(ROLLBACK_AT + 40)),
            "src_offset": 90,
        }
        save = self._command("save", '{"kind":"forensic"}', NOT_A_NUMBER_AT + 1)
        back = self._command("rollback", '{"before_step":201,"lr_scale":0.3}', NOT_A_NUMBER_AT + 2)
        return {
            "train_diagnoses": [*found, resolved],
            "train_commands": [save, back],
            "train_acks": [
                *self._acks(save["id"], NOT_A_NUMBER_AT + 2), *self._acks(back["id"], ROLLBACK_AT),
            ],
        }  # fmt: skip

    def _diagnosis(self, rule: str, category: str, severity: str, position: int, then: list[str]) -> Row:
        return {
            "id": f"{self.run}-{rule}", "rule": rule, "category": category, "severity": severity,
            "state": "firing", "run": self.run, "attempt": 0, "rank": 0, "node": "host-1", "role": "trainer",
            "time": moment(self.at(position)), "step": position, "summary": f"{rule} at step {position}",
            "evidence": '{"ratio":25}', "suggestions": ["Lower the learning rate."], "then": then,
            "rule_version": "1", "src_topic": "train.diagnoses", "src_partition": 0, "src_offset": position,
        }  # fmt: skip

    def _command(self, action: str, args: str, position: int) -> Row:
        issued = self.at(position)
        return {
            "id": f"{self.run}-{action}", "run": self.run, "attempt": 0, "action": action, "args": args,
            "target": '{"ranks":"all"}', "diagnosis": f"{self.run}-loss-not-finite",
            "rule": "loss-not-finite", "summary": "loss is not finite", "issued": moment(issued),
            "expires": moment(issued + 600), "src_topic": "remediation.commands", "src_partition": 0,
            "src_offset": position,
        }  # fmt: skip

    def _acks(self, command: str, position: int) -> list[Row]:
        return [
            {
                "command": command, "run": self.run, "attempt": 0, "rank": 0, "executor": "emitter",
                "state": state, "step": position, "time": moment(self.at(position) + 0.001 * index),
                "duration": 0.012 if state == "succeeded" else None, "detail": "{}",
                "src_topic": "remediation.acks", "src_partition": 0, "src_offset": position * 10 + index,
            }
            for index, state in enumerate(("received", "running", "succeeded"))
        ]  # fmt: skip
