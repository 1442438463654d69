"""Firing rates, asked of the real engine."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

from stream import history
from stream.history.migrate import migrate
from stream.history.rates import rates

DAY_S = 86_400


def _rows(client: Any, table: str, rows: list[dict[str, Any]]) -> None:
    names = list(rows[0])
    client.insert(table, [[row[name] for name in names] for row in rows], column_names=names)


def _diagnosis(one: str, rule: str, run: str, state: str, age_s: float, reason: str = "") -> dict[str, Any]:
    time = datetime.now(timezone.utc) - timedelta(seconds=age_s)
    evidence = json.dumps({"reason": reason} if reason else {})
    return {"id": one, "rule": rule, "run": run, "state": state, "time": time, "evidence": evidence}


def test_firings_are_counted_by_rule(database_url: str) -> None:
    """Firings, runs, what is open, what ended by itself; replays and what is older do not count."""
    migrate(database_url)
    with history.connect(database_url) as client:
        assert rates(client, DAY_S) == []
        rows = [
            _diagnosis("a", "loss-spike", "r1", "firing", 900),
            _diagnosis("a", "loss-spike", "r1", "resolved", 800, "cleared"),
            _diagnosis("b", "loss-spike", "r2", "firing", 700),
            _diagnosis("b", "loss-spike", "r2", "resolved", 600, "cleared"),
            _diagnosis("c", "loss-spike", "r2", "firing", 500),
            _diagnosis("c", "loss-spike", "r2", "resolved", 400, "ended"),
            _diagnosis("d", "cuda-oom", "r1", "firing", 300),
            _diagnosis("e", "cuda-oom", "r1", "firing", 3 * DAY_S),
        ]
        _rows(client, "train_diagnoses", [*rows, rows[0]])
        _rows(client, "train_commands", [{"id": "x", "run": "r2", "diagnosis": "b", "action": "save"}])
        spike, memory = rates(client, DAY_S)
    assert (spike.rule, spike.runs, spike.firings, spike.open, spike.by_itself) == ("loss-spike", 2, 3, 0, 1)
    assert (memory.rule, memory.runs, memory.firings, memory.open) == ("cuda-oom", 1, 1, 1)
    assert spike.per_day == 3.0
