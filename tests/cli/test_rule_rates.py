"""`trainwarden rules list --since`, over a real ClickHouse endpoint."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timezone

import pytest
from typer.testing import CliRunner

from stream import cli, history
from stream.history.migrate import migrate

runner = CliRunner()


@pytest.fixture
def database(clickhouse_url: str) -> str:
    """A history in which one rule fired twice."""
    url = f"{clickhouse_url}/rates_{uuid.uuid4().hex[:12]}"
    migrate(url)
    names = ["id", "rule", "run", "state", "time", "evidence"]
    now = datetime.now(timezone.utc)
    rows = [[one, "loss-spike", "r", "firing", now, "{}"] for one in ("a", "b")]
    with history.connect(url) as client:
        client.insert("train_diagnoses", rows, column_names=names)
    return url


def test_rates_are_shown_for_people_and_programs(database: str) -> None:
    """Firings, and per day; a rule that did not fire has a rate of nothing."""
    arguments = ["rules", "list", "--since", "2d", "--clickhouse", database]
    shown = runner.invoke(cli.app, arguments)
    assert shown.exit_code == 0, shown.output
    assert "loss-spike" in shown.output
    assert "rules did not fire in 2d" in shown.output
    lines = runner.invoke(cli.app, [*arguments, "--json"]).stdout.splitlines()
    rates = {one["id"]: one["rate"] for one in map(json.loads, lines)}
    assert (rates["loss-spike"]["firings"], rates["loss-spike"]["per_day"]) == (2, 1.0)
    assert rates["cuda-oom"]["firings"] == 0


def test_a_wrong_stretch_is_refused() -> None:
    """One clear line, exit 2."""
    result = runner.invoke(
        cli.app, ["rules", "list", "--since", "soon", "--clickhouse", "http://127.0.0.1:1"]
    )
    assert result.exit_code == 2
    assert 'expected --since to be a duration such as "30s"' in result.output
