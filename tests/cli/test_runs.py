"""``trainwarden runs list``, ``runs show`` and ``top``, on a real history."""

from __future__ import annotations

import io
import json
import signal
import time
from typing import Any

import pytest
from rich.console import Console

from stream import history as histories
from stream.cli import top_page
from stream.goodput import PARTS
from stream.history.ledger import Query
from tests.cli.shell import Shell
from tests.dashboards.rig import new_history
from tests.dashboards.story import Row, Story, insert, moment

NOW = float(int(time.time()))
HOSTILE = "gpt\x1b[31mred\x07\u202eevil\r\n<b>" + "x" * 1_000_000
SAVED = Story("run-saved", name="gpt-small", now=NOW, ended_ago_s=30, state="started")
OLD = Story("run-old", name="bert", now=NOW, ended_ago_s=20 * 86_400, fault=False, steps=90, state="failed")
EVIL = Story("run-evil", name=HOSTILE, now=NOW, ended_ago_s=4_000, fault=False, steps=60)


@pytest.fixture(scope="module")
def url(clickhouse_url: str) -> str:
    """A database with a run that goes on, an old one that failed, and one whose names are hostile."""
    database = new_history(clickhouse_url, SAVED, OLD, EVIL)
    changes: list[Row] = [
        {
            "id": "incident-0001", "seq": seq, "run": SAVED.run, "run_name": SAVED.name, "attempt": 0,
            "state": state, "time": moment(SAVED.at(216)), "began": moment(SAVED.at(216)),
            "rule": "loss-not-finite", "category": "nan_loss", "severity": "critical",
            "cause": json.dumps({"rule": "loss-not-finite", "evidence": {}}), "lost_steps": 45,
            "lost_seconds": 1.1, "gpu_seconds": 3600.0,
        }
        for seq, state in ((1, "open"), (2, "acting"))
    ]  # fmt: skip
    insert(database, "train_incident_changes", changes)
    finding = {"rule": HOSTILE, "severity": HOSTILE, "summary": HOSTILE, "state": "firing", "id": "d"}
    insert(database, "train_diagnoses", [finding | {"run": EVIL.run, "time": moment(EVIL.at(3))}])
    return database


def listed(shell: Shell, url: str, *words: str) -> list[dict[str, Any]]:
    """What ``runs list --json`` says."""
    done = shell.run("runs", "list", "--clickhouse", url, "--json", *words)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_runs_are_listed_the_newest_first(url: str, shell: Shell) -> None:
    """With state, last step, attempts, goodput and incidents; as JSON and as a table."""
    first, second, third = listed(shell, url)
    assert [first["run"], second["run"], third["run"]] == ["run-saved", "run-evil", "run-old"]
    assert (first["state"], first["last_step"], first["attempts"]) == ("running", 314, 1)
    assert (first["incidents"], first["open_incidents"], third["incidents"]) == (1, 1, 0)
    assert 0.7 < first["goodput"] < 0.9
    page = shell.run("runs", "list", "--clickhouse", url).stdout
    line = next(line for line in page.splitlines() if line.startswith("run-saved"))
    assert line.split()[1:7] == ["gpt-small", "running", "314", "1", f"{first['goodput']:.1%}", "1,"]


def test_runs_are_chosen_by_name_state_and_age(url: str, shell: Shell) -> None:
    """A pattern is of id or name; states may be several; what is not there is said."""
    for words, wanted in (
        (["gpt-*"], ["run-saved"]), (["*old"], ["run-old"]), (["be?t"], ["run-old"]), (["b.*"], []),
        (["--state", "failed"], ["run-old"]),
        (["--state", "failed", "--state", "running"], ["run-saved", "run-old"]),
        (["--since", "7d"], ["run-saved", "run-evil"]), (["--limit", "1"], ["run-saved"]),
    ):  # fmt: skip
        assert [one["run"] for one in listed(shell, url, *words)] == wanted, words
    done = shell.run("runs", "list", "nothing-*", "--clickhouse", url)
    assert (done.returncode, done.stdout, done.stderr.strip()) == (0, "", "no runs")
    said = shell.fails(2, "runs", "list", "--since", "soon", "--clickhouse", url)
    assert said.startswith("--since: expected")
    assert 'got "soon"' in said


def test_a_run_is_shown_with_what_it_logged(url: str, shell: Shell) -> None:
    """The last loss, steps and goodput are those of the rows; the parts of its time add up."""
    shown = json.loads(shell.run("runs", "show", "gpt-small", "--clickhouse", url, "--json").stdout)
    rows = SAVED.tables()["train_steps"]
    losses = [row["value"] for row in rows if row["name"] == "loss"]
    assert shown["last"]["loss"] == {"value": losses[-1], "step": 314}
    spent = shown["goodput"]
    assert (spent["steps"], spent["recomputed_steps"]) == (len(losses), 45)
    assert sum(spent[part] for part in PARTS) == pytest.approx(spent["wall"], rel=1e-6)
    with histories.connect(url) as client:
        (view,) = client.query("SELECT * FROM train_goodput_runs WHERE run = 'run-saved'").named_results()
    assert spent["goodput"] == pytest.approx(view["goodput"], abs=1e-6)
    assert [one["attempt"] for one in shown["attempts"]] == [0]
    assert [one["rule"] for one in shown["diagnoses"]] == ["loss-not-finite", "gradient-explosion"]
    (incident,) = shown["incidents"]
    assert (incident["gpu_hours"], incident["lost_steps"], incident["act"]) == (1.0, 45, None)
    assert shown["recovery"]["saves"] == 0


def test_a_run_is_shown_as_a_page(url: str, shell: Shell) -> None:
    """A table of parts, of diagnoses, of incidents, and the last values."""
    page = shell.run("runs", "show", "run-saved", "--clickhouse", url).stdout
    assert page.splitlines()[0] == "gpt-small"
    for words in (
        "where the time went", "productive", "100.0%", "360 (45 again)", "loss-not-finite at step 216",
        "last values", "incident-000",
    ):  # fmt: skip
        assert words in page, words
    said = shell.fails(3, "runs", "show", "gpt-smal", "--clickhouse", url)
    assert said == 'no run has the id or name gpt-smal; did you mean "gpt-small"?'


def test_hostile_names_are_shown_as_text(url: str, shell: Shell) -> None:
    """No escape, bell, mark of direction or line of a megabyte reaches the terminal."""
    pages = [
        shell.run("runs", "list", "--clickhouse", url).stdout,
        shell.run("runs", "show", "run-evil", "--clickhouse", url).stdout,
    ]
    for page in pages:
        assert "red" in page
        assert not {"\x1b", "\x07", "\u202e", "\r"} & set(page)
        assert len(page) < 20_000


def test_top_shows_what_runs(url: str, shell: Shell) -> None:
    """Once, where it is no terminal: step, loss, goodput and the last diagnosis of the runs that run."""
    page = shell.run("top", "--clickhouse", url).stdout
    (line,) = [line for line in page.splitlines() if line.startswith("gpt-small")]
    assert "running" in line or "silent" in line  # where the machine is slow
    assert "314" in line
    assert "loss-not-finite" in line
    assert "bert" not in page
    (one,) = json.loads(shell.run("top", "--clickhouse", url, "--json").stdout)
    assert one["loss"] == [row["value"] for row in SAVED.tables()["train_steps"] if row["name"] == "loss"][-1]
    assert one["steps_per_second"] >= 0
    assert one["diagnosis"]["rule"] == "loss-not-finite"


def test_top_shows_hostile_texts_as_text(
    clickhouse_url: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name, a rule and a summary with escape sequences and marks of direction; in a terminal too."""
    wild = Story("run-wild", name=HOSTILE, now=NOW, fault=False, steps=20, state="started")
    url = new_history(clickhouse_url, wild)
    finding = {"rule": HOSTILE, "severity": HOSTILE, "summary": HOSTILE, "state": "firing", "id": "d"}
    insert(url, "train_diagnoses", [finding | {"run": wild.run, "time": moment(wild.at(3))}])
    page = shell.run("top", "--clickhouse", url).stdout
    assert "red" in page
    assert not {"\x1b", "\x07", "\u202e", "\r"} & set(page)
    assert len(page) < 20_000

    screen = io.StringIO()
    monkeypatch.setattr(
        top_page, "Console", lambda **options: Console(file=screen, force_terminal=True, width=400, **options)
    )
    with histories.connect(url) as client:
        top_page.printed(
            lambda query: client.query(query.sql, parameters=dict(query.parameters)).named_results(), 5
        )
    shown = screen.getvalue()
    assert shown.count(r"gpt\x1b[31mred\x07\u202eevil") == 2  # the run, and the rule of its diagnosis
    assert "\x1b[31m" not in shown
    assert not {"\x07", "\u202e", "\r"} & set(shown)


def test_top_draws_again_until_it_is_ended(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a terminal the table is drawn anew, and Ctrl-C ends it without a word."""
    screen = io.StringIO()
    asked: list[Query] = []

    def console(**options: Any) -> Console:
        return Console(file=screen, force_terminal=True, width=150, **options)

    monkeypatch.setattr(top_page, "Console", console)
    with histories.connect(url) as client:

        def ask(query: Query) -> list[dict[str, Any]]:
            if "train_runs_latest" in query.sql:
                asked.append(query)
                if len(asked) == 3:
                    signal.raise_signal(signal.SIGINT)
            return list(client.query(query.sql, parameters=dict(query.parameters)).named_results())

        top_page.live(ask, 5, 0.01)
    assert len(asked) >= 3
    assert screen.getvalue().count("gpt-small") >= 3
