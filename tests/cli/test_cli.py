"""The command line as a user meets it: its output and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stream import cli
from stream.cli.options import ERROR, FOUND, USAGE

COMMANDS = [
    "demo", "up", "version", "worker", "gateway", "clickhouse", "view", "topics plan", "topics apply",
    "db migrate", "dashboards build", "rules check", "rules list", "rules test", "rules match", "rules show",
    "rules schema", "rules backtest", "diagnose", "explain",
]  # fmt: skip

_THREE_MISTAKES = """\
pack: mine
rules:
  - id: one
    category: grad_explotion
    summary: "s"
    on: train.step
    when: gradnorm > 3
    sumary: "x"
"""


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CliRunner:
    """A user without any stack."""
    for name in list(os.environ):
        if name.startswith("TRAINWARDEN_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TRAINWARDEN_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "120")
    return CliRunner()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(runner: CliRunner, command: str) -> None:
    """--help of each command of the contract works and says something."""
    result = runner.invoke(cli.app, [*command.split(), "--help"])

    assert result.exit_code == 0
    assert "Usage:" in result.output


@pytest.mark.parametrize(
    ("command", "missing"),
    [("gateway", "--kafka"), ("worker", "--kafka"), ("topics apply", "--kafka"), ("view", "--clickhouse")],
)
def test_without_a_stack_the_cure_is_named(runner: CliRunner, command: str, missing: str) -> None:
    """One line says what is missing and three ways to give it; wrong usage is 2."""
    result = runner.invoke(cli.app, command.split())

    assert result.exit_code == USAGE
    assert f"give {missing}, set TRAINWARDEN_" in result.output
    assert "trainwarden up" in result.output


def test_a_running_stack_is_found(runner: CliRunner, tmp_path: Path) -> None:
    """Without options, commands use the endpoints of the local stack."""
    stack = {"ready": True, "endpoints": {"kafka": "127.0.0.1:1"}, "pids": {"up": os.getpid()}}
    (tmp_path / "stack.json").write_text(json.dumps(stack))

    result = runner.invoke(cli.app, ["topics", "apply"])

    assert "127.0.0.1:1" in str(result.exception)


def test_topics_plan_is_readable_by_programs(runner: CliRunner) -> None:
    """--json gives each topic with its partitions and settings."""
    result = runner.invoke(cli.app, ["topics", "plan", "--partitions", "3", "--json"])

    plan = {row["name"]: row for row in json.loads(result.output)}
    assert plan["otlp_logs"]["partitions"] == 3
    assert plan["remediation.intents"]["partitions"] == 1
    assert plan["train.rules"]["settings"]["cleanup.policy"] == "compact"


def test_shipped_rules_have_no_mistakes(runner: CliRunner) -> None:
    """The packs load, and every sample does as it says."""
    assert "no mistakes" in runner.invoke(cli.app, ["rules", "check"]).output
    assert "all pass" in runner.invoke(cli.app, ["rules", "test"]).output
    rules = [
        json.loads(line) for line in runner.invoke(cli.app, ["rules", "list", "--json"]).output.splitlines()
    ]
    assert {"loss-not-finite", "gradient-explosion", "cuda-oom"} <= {rule["id"] for rule in rules}


def test_a_rule_file_with_three_mistakes_gives_three_errors(runner: CliRunner, tmp_path: Path) -> None:
    """All at once, each with file, line and column, and a guess for the typo; exit code 3."""
    pack = tmp_path / "mine.yaml"
    pack.write_text(_THREE_MISTAKES)

    result = runner.invoke(cli.app, ["rules", "check", str(pack)])

    lines = result.output.splitlines()
    assert result.exit_code == ERROR
    assert [line.removeprefix(f"{pack}:").split(": ")[0] for line in lines] == ["4:15", "7:11", "8:5"]
    assert 'did you mean "grad_explosion"' in lines[0]
    assert 'did you mean "grad_norm"' in lines[1]
    assert 'did you mean "summary"' in lines[2]


def test_a_sample_that_fails_is_found(runner: CliRunner, tmp_path: Path) -> None:
    """A sample that expects what does not happen is named; exit code 1."""
    pack = tmp_path / "mine.yaml"
    pack.write_text(
        'pack: mine\nrules:\n  - id: big\n    category: custom.big\n    summary: "s"\n    on: train.step\n'
        "    when: loss > 3\n    tests:\n      - name: never\n        series: {loss: 1x5}\n"
        "        expect: [{step: 2}]\n"
        "      - name: once\n        series: {loss: 1 4}\n        expect: [{step: 1}]\n"
    )

    result = runner.invoke(cli.app, ["rules", "test", str(pack)])

    assert result.exit_code == FOUND, result.output
    assert "never" in result.output
    assert "once" not in result.output


@pytest.mark.skipif(sys.version_info < (3, 11), reason="grafana-foundation-sdk needs Python 3.11")
def test_stale_dashboards_are_found(runner: CliRunner, tmp_path: Path) -> None:
    """`dashboards build --check` says what is not fresh and exits with 1, after building with 0."""
    folder = ["--out", str(tmp_path / "dashboards")]

    assert runner.invoke(cli.app, ["dashboards", "build", *folder]).exit_code == 0
    assert runner.invoke(cli.app, ["dashboards", "build", "--check", *folder]).exit_code == 0
    (tmp_path / "dashboards" / "run.json").write_text("{}")
    stale = runner.invoke(cli.app, ["dashboards", "build", "--check", *folder])

    assert stale.exit_code == FOUND
    assert "run.json" in stale.output


def test_an_error_of_ours_is_one_line(tmp_path: Path) -> None:
    """The real script: no traceback for a broker that is not there; exit code 3."""
    command = [sys.executable, "-m", "stream.cli", "topics", "apply", "--kafka", "127.0.0.1:1"]

    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False)

    assert result.returncode == ERROR
    assert result.stdout == ""
    assert "trainwarden: kafka 127.0.0.1:1" in result.stderr
    assert "Traceback" not in result.stderr


def test_wrong_options_are_wrong_usage(runner: CliRunner) -> None:
    """An option that does not parse ends with 2."""
    assert runner.invoke(cli.app, ["gateway", "--port", "x"]).exit_code == USAGE
    assert runner.invoke(cli.app, ["nonsense"]).exit_code == USAGE
