"""``trainwarden doctor`` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stream import cli

runner = CliRunner()


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No stack, no keys, no variables."""
    for name in (
        "KAFKA",
        "CLICKHOUSE",
        "ENDPOINT",
        "SIGNING_KEY",
        "OPERATOR_KEY",
        "TRUSTED_KEYS",
        "OPERATORS",
    ):
        monkeypatch.delenv(f"TRAINWARDEN_{name}", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("TRAINWARDEN_DATA_DIR", str(tmp_path / "no-stack"))


def test_where_nothing_is_known() -> None:
    """What could not be looked at is said with what to give; missing keys are to be mended."""
    shown = runner.invoke(cli.app, ["doctor"])
    assert shown.exit_code == 1
    assert "ok timeouts: in order" in shown.output
    assert "-- broker: no Kafka is known" in shown.output
    assert shown.output.endswith("2 to mend\n")


def test_for_programs() -> None:
    """A list of findings, each with check, verdict, what was seen, and the cure."""
    shown = runner.invoke(cli.app, ["doctor", "--json", "--kafka", "127.0.0.1:1"])
    assert shown.exit_code == 1
    found = {one["check"]: one for one in json.loads(shown.stdout)}
    assert set(found) == {"timeouts", "keys", "broker", "gateway", "history"}
    assert found["broker"]["verdict"] == "error"
    assert set(found["broker"]) == {"check", "verdict", "said", "cure"}


def test_a_wrong_stretch_is_refused() -> None:
    """One clear line, exit 2."""
    shown = runner.invoke(cli.app, ["doctor", "--since", "soon"])
    assert shown.exit_code == 2
    assert 'expected --since to be a duration such as "30s"' in shown.output
