"""What is said of ClickHouse, its schema, its clock, refused commands and rules that sleep; a real engine."""

from __future__ import annotations

import re
import time
import uuid
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest

from stream import history
from stream.doctor import Verdict, sleeping
from stream.doctor import history as doctor
from stream.history.migrate import migrate
from stream.rulelang import load_text
from tests.fixtures import free_port

DAY_S = 86_400.0

RULES = """
pack: mine
rules:
  - {id: low, category: custom.low, summary: x, on: train.step, when: loss < 0}
  - {id: norm, category: custom.norm, summary: x, on: train.step, when: grad_norm > 9}
  - {id: mine, category: custom.mine, summary: x, on: train.step, when: 'field("my/own") > 9'}
  - {id: hot, category: custom.hot, summary: x, on: metric, when: value > 9}
"""


@pytest.fixture
def database(clickhouse_url: str) -> str:
    """A history without rows."""
    url = f"{clickhouse_url}/doctor_{uuid.uuid4().hex[:12]}"
    migrate(url)
    return url


def test_nobody_listens() -> None:
    """One line, with the address."""
    (found,) = doctor.look(f"http://127.0.0.1:{free_port()}", DAY_S)
    assert found.verdict is Verdict.error
    assert found.said.startswith("ClickHouse: expected an answer from http://127.0.0.1:")


def test_a_schema_that_is_not_there(clickhouse_url: str) -> None:
    """Without its database, and with an empty one: what is missing is named; looking makes nothing."""
    name = f"empty_{uuid.uuid4().hex[:12]}"
    for _ in range(2):
        (found,) = doctor.look(f"{clickhouse_url}/{name}", DAY_S)
        assert (found.check, found.verdict) == ("schema", Verdict.error)
        assert (found.said, found.cure) == (
            f"there is no database {name}",
            "`trainwarden db migrate` makes it",
        )
    with history.connect(clickhouse_url) as client:
        client.command(f"CREATE DATABASE {name}")
    for _ in range(2):
        found = doctor.look(f"{clickhouse_url}/{name}", DAY_S)[-1]
        assert (found.check, found.verdict, found.cure) == (
            "schema",
            Verdict.error,
            "`trainwarden db migrate`",
        )
        assert found.said.startswith("not applied: 0001_otel_logs.sql, ")


def test_a_history_that_is_well(database: str) -> None:
    """It answers, is up to date, its clock is right; nothing was refused."""
    found = doctor.look(database, DAY_S)
    assert {one.verdict for one in found} == {Verdict.ok}
    said = {one.said for one in found}
    assert {"up to date", "no run has sent a heartbeat yet", "none in 24 h"} <= said


@pytest.mark.parametrize(
    ("ours", "verdict", "word"), [(-60, Verdict.warning, "ahead"), (900, Verdict.error, "behind")]
)
def test_clocks_that_differ(
    database: str, monkeypatch: pytest.MonkeyPatch, ours: int, verdict: Verdict, word: str
) -> None:
    """A minute spoils comparisons; beyond the tolerance of commands it is an error."""
    real = time.time
    monkeypatch.setattr(doctor, "time", SimpleNamespace(time=lambda: real() + ours))
    (found,) = (one for one in doctor.look(database, DAY_S) if one.check == "clocks")
    seen = re.fullmatch(r"ClickHouse's is ([0-9.]+) s (\w+).*", found.said)
    assert found.verdict is verdict
    assert seen is not None
    assert float(seen[1]) == pytest.approx(abs(ours), abs=4)
    assert seen[2] == word


def test_commands_that_were_refused(database: str) -> None:
    """By reason, with what to do about each."""
    now = datetime.now(timezone.utc)
    rows = [
        [f"c{n}", "r", n, "rejected", reason, now] for n, reason in enumerate(["unknown_key"] * 2 + ["odd"])
    ]
    names = ["command", "run", "rank", "state", "reason", "time"]
    with history.connect(database) as client:
        client.insert("train_acks", rows, column_names=names)
    first, second = (one for one in doctor.look(database, DAY_S) if one.check == "refused commands")
    assert first.said.startswith("unknown_key: 2 times in 1 runs, last ")
    assert "trusted_keys" in first.cure
    assert second.said.startswith("odd: 1 times in 1 runs")
    assert second.verdict is Verdict.warning


def test_rules_that_sleep(database: str) -> None:
    """Without a field they never look; the field is named, until it comes."""
    rules = load_text(RULES, Path("mine.yaml"))
    with history.connect(database) as client:
        assert sleeping.look(client, rules, DAY_S).verdict is Verdict.skipped
        names = ["run", "time", "step", "name", "value"]
        now = datetime.now(timezone.utc)
        client.insert(
            "train_steps", [["r", now, 1, "loss", 1.0], ["r", now, 1, "my/own", 1.0]], column_names=names
        )
        found = sleeping.look(client, rules, DAY_S)
        assert (found.verdict, found.said) == (
            Verdict.warning,
            "1 never could look: norm (grad_norm never came); 2 have what they need; "
            "1 wait for events that did not come",
        )
        client.insert("train_steps", [["r", now, 1, "grad_norm", 1.0]], column_names=names)
        assert sleeping.look(client, rules, DAY_S).verdict is Verdict.ok
