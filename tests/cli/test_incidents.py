"""``trainwarden incidents``, ``silences`` and ``notify``, on a real broker and a real history."""

from __future__ import annotations

import json

import pytest

from tests.cli.shell import Shell
from tests.dashboards.rig import new_history
from tests.stream.ledger.keeping import keep
from tests.stream.ledger.records import Case, write
from tests.stream.notify.far_end import Reply, serving

pytestmark = pytest.mark.slow


def test_incidents_from_the_topics(broker: str, shell: Shell) -> None:
    """The list (exit 1 while one is open) and one in full, as tables and as JSON."""
    case = Case()
    write(broker, case.held())
    done = shell.run("incidents", "list", "--kafka", broker, "--run", case.run)
    assert done.returncode == 1
    assert "nan-loss: Loss is NaN" in done.stdout
    assert "rollback held" in done.stdout
    write(broker, [case.changed("resolved", 2, ended="2026-01-01T00:00:00.000000Z", outcome="resolved")])
    done = shell.run("incidents", "list", "--kafka", broker, "--run", case.run, "--json")
    assert (done.returncode, [one["state"] for one in json.loads(done.stdout)]) == (0, ["resolved"])
    assert (
        shell.run("incidents", "list", "--kafka", broker, "--run", case.run, "--state", "open").stdout == ""
    )
    page = shell.run("incidents", "show", case.incident[:8], "--kafka", broker).stdout
    for words in (
        "state     resolved: resolved",
        "cost      12 steps, 3.5 s, 28 GPU seconds",
        "cause     nan-loss",
    ):
        assert words in page
    said = shell.fails(3, "incidents", "show", "0" * 32, "--kafka", broker)
    assert said.startswith("no incident has the id 000000")


def test_silences(broker: str, shell: Shell) -> None:
    """Added by a signed word with an end; listed while it holds."""
    case = Case()
    said = shell.fails(2, "silences", "add", "--kafka", broker)
    assert said == "expected --run or --rule: a silence of everything is `--rule '*'`"
    done = shell.run(
        "silences", "add", "--run", case.run, "--for", "2h", "--comment", "known", "--kafka", broker,
        "--wait", "0", "--json",
    )  # fmt: skip
    quiet = json.loads(done.stdout)["said"]["silence"]
    assert (quiet["run"], quiet["comment"]) == (case.run, "known")
    write(
        broker,
        [
            case.decision(
                "silence_began", id=f"control/{case.run}", author="ada@lab", detail={"silence": quiet}
            )
        ],
    )
    listed = shell.run("silences", "list", "--kafka", broker).stdout
    assert f"{quiet['id']}  until {quiet['ends']}  run {case.run}  by ada@lab  known" in listed
    write(broker, [case.decision("silence_ended", id=f"control/{case.run}/2", detail={"silence": quiet})])
    assert quiet["id"] not in shell.run("silences", "list", "--kafka", broker).stdout


def test_the_ledger_from_clickhouse(clickhouse_url: str, shell: Shell) -> None:
    """The same answers from the history: the story, the incidents, and what waits."""
    history, case = new_history(clickhouse_url), Case()
    keep(history, [*case.held(), Case().diagnosis()])
    at = ("--clickhouse", history)
    done = shell.run("commands", "why", case.command_id[:8], *at)
    assert done.returncode == 0, done.stderr
    for words in ("args      before_step 90, lr_scale 0.5", "rule      nan-loss  version v7", "held"):
        assert words in done.stdout
    story = json.loads(shell.run("commands", "why", case.diagnosis_id, *at, "--json").stdout)
    assert [entry["what"] for entry in story["timeline"]] == ["firing", "opened", "held"]
    assert story["diagnoses"][0]["evidence"] == {"loss": "NaN", "since_step": 90}
    done = shell.run("incidents", "list", *at, "--state", "open")
    assert (done.returncode, case.incident[:12] in done.stdout) == (1, True)
    assert (
        "cost      12 steps, 3.5 s, 28 GPU seconds"
        in shell.run("incidents", "show", case.incident, *at).stdout
    )
    said = shell.fails(3, "commands", "why", case.command_id[:5] + "zz" + case.command_id[7:], *at)
    assert said.endswith(f"did you mean {case.command_id}?")
    said = shell.fails(2, "commands", "approve", case.command_id, *at)
    assert said.startswith("no kafka is known: give --kafka, set TRAINWARDEN_KAFKA")


def test_web_hooks_are_checked_and_tried(shell: Shell) -> None:
    """``check`` names them, ``test`` sends one message each; a worker does not start with a wrong file."""
    path = shell.home / "hooks.yaml"
    with serving() as fine, serving(Reply(403, b"action_prohibited")) as bad:
        path.write_text(
            f"hooks:\n  - {{name: ops, kind: slack, url: '{fine.url}'}}\n"
            f"  - {{name: bot, kind: json, url: '{bad.url}', limit: 5/1h}}\n"
        )
        done = shell.run("notify", "check", str(path))
        assert "bot: json to 127.0.0.1:" in done.stdout
        assert "; notified, held, breaker; at most 5 in 3600 s" in done.stdout
        done = shell.run("notify", "test", str(path))
        assert (done.returncode, done.stdout) == (3, "ops: taken\nbot: it answered 403 (action_prohibited)\n")
        assert "tries the hook ops" in fine.requests[0].json["text"]
    assert shell.fails(2, "notify", "test", str(path), "--hook", "x") == f'{path}: no hook has the name "x"'
    path.write_text("hooks:\n  - name: ops\n    kind: slack\n    url: ${NO_SUCH_SECRET}\n")
    expected = f"{path}:4:10: expected the environment variable NO_SUCH_SECRET to be set, it is not"
    assert shell.fails(3, "notify", "check", str(path)) == expected
    worker = ("worker", "--kafka", "127.0.0.1:1", "--notify", str(path), "--data-dir", str(shell.home))
    assert shell.fails(3, *worker) == expected
