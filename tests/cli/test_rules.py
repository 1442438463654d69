"""``trainwarden rules``: list, show, schema, check, test and backtest as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner, Result

from stream import cli
from stream.cli.options import ERROR, FOUND, USAGE
from stream.rulelang import tree
from stream.rulelang.errors import Problems

_PACK = """\
pack: mine
rules:
  - id: high
    category: loss_spike
    summary: "loss {loss}"
    on: train.step
    params: {limit: 5}
    when: loss > limit
    inhibited_by: [lost]
    runbook: high.md
    tests:
      - name: it fires
        series: {loss: "1 9"}
        expect: [{step: 1}]
      - name: it does not
        series: {loss: "1 2"}
        expect: []

  - id: lost
    category: nan_loss
    summary: "no loss"
    on: train.step
    maturity: experimental
    when: isnan(loss)
"""


@pytest.fixture
def pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pack of two rules, one with a page."""
    monkeypatch.setenv("COLUMNS", "120")
    folder = tmp_path / "mine"
    (folder / "runbooks").mkdir(parents=True)
    (folder / "runbooks" / "high.md").write_text(
        "# high\n\n## Look at\n\nthe loss\n\n## What to do\n\n- wait\n"
    )
    path = folder / "mine.yaml"
    path.write_text(_PACK)
    return path


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, ["rules", *map(str, arguments)])


def test_the_list_says_what_a_program_needs(pack: Path) -> None:
    """One JSON object for each rule; the table marks what is experimental."""
    found = {rule["id"]: rule for rule in map(json.loads, _run("list", pack, "--json").stdout.splitlines())}

    assert found["high"]["inhibited_by"] == ["lost"]
    assert (found["lost"]["maturity"], found["lost"]["on"]) == ("experimental", "train.step")
    assert "lost (experimental)" in _run("list", pack).stdout


def test_show_has_everything_about_a_rule(pack: Path) -> None:
    """Text, fields, params, samples, runbook, and who inhibits whom."""
    found = json.loads(_run("show", "high", "--rules", pack, "--json").stdout)
    text = found.pop("text")

    assert yaml.safe_load(text)[0]["id"] == "high"
    assert "lost" not in text.replace("[lost]", "")
    assert found["reads"] == ["train.step", "loss"]
    assert found["params"] == {"limit": 5.0}
    assert found["samples"] == [{"name": "it fires", "fires": True}, {"name": "it does not", "fires": False}]
    assert found["suggestions"] == ["wait"]
    assert json.loads(_run("show", "lost", "--rules", pack, "--json").stdout)["inhibits"] == ["high"]


def test_show_is_pleasant_to_read(pack: Path) -> None:
    """The same for a person, with the rule's text and its page."""
    shown = _run("show", "high", "--rules", pack, "-p", "high.limit=7").stdout

    for part in (
        "limit = 7",
        "inhibited by  lost",
        "1 that fire, 1 that do not",
        "when: loss > limit",
        "Look at",
    ):
        assert part in shown


def test_show_of_a_rule_that_is_not_there(pack: Path) -> None:
    """A guess, and exit code 2."""
    result = _run("show", "hihg", "--rules", pack)

    assert result.exit_code == USAGE
    assert 'there is no rule "hihg"; did you mean "high"?' in result.stderr


def test_the_schema_describes_packs() -> None:
    """It is JSON Schema, knows a good pack and refuses a bad one."""
    schema = json.loads(_run("schema").stdout)
    good, bad = (tree.parse(text, Problems("x")) for text in (_PACK, _PACK.replace("when:", "wen:")))
    assert good is not None
    assert bad is not None
    jsonschema.validate(tree.plain(good), schema)

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tree.plain(bad), schema)


def test_mistakes_are_objects_for_programs(pack: Path) -> None:
    """check --json: file, line, column and message of each."""
    pack.write_text(_PACK.replace("loss > limit", "los > limit"))
    result = _run("check", pack, "--json")
    found = [json.loads(line) for line in result.stdout.splitlines()]

    assert result.exit_code == ERROR
    assert [(one["line"], one["column"]) for one in found] == [(8, 11)]
    assert "did you mean" in found[0]["message"]


def test_failed_samples_are_objects_for_programs(pack: Path) -> None:
    """test --json: where, which, and what happened instead; params count."""
    result = _run("test", pack, "--json", "--params", "high.limit=1.5")
    found = [json.loads(line) for line in result.stdout.splitlines()]

    assert result.exit_code == FOUND
    assert [(one["rule"], one["sample"]) for one in found] == [("high", "it does not")]
    assert _run("test", pack).exit_code == 0


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A clean run, a broken one, and a labels file that knows one more."""
    folder = tmp_path / "recorded"
    folder.mkdir()
    for name, losses in (("good", [1, 4, 1, 1]), ("bad", [1, 1, 9, 1])):
        lines = [json.dumps({"step": step, "loss": loss}) + "\n" for step, loss in enumerate(losses)]
        (folder / f"{name}.jsonl").write_text("".join(lines))
    anomaly = {"type": "loss_spike", "first_step": 2, "note": "seen on a plot"}
    labels: dict[str, Any] = {
        "good": {"class": "clean", "anomalies": []},
        "bad": {"class": "broken", "anomalies": [anomaly], "source": "a test"},
        "gone": {"class": "clean"},
    }
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    return folder


def test_a_backtest_for_programs(pack: Path, recorded: Path) -> None:
    """One object with rules, categories, alarms and changes."""
    labels = recorded.parent / "labels.json"
    result = _run(
        "backtest", recorded, "--labels", labels, "--rules", pack, "-p", "high.limit=3", "--against", pack,
        "--json",
    )  # fmt: skip
    found = json.loads(result.stdout)

    assert result.exit_code == 0
    assert (found["runs"], found["points"], found["recall"], found["alarmed"]) == (2, 8, 1.0, 1.0)
    rules = {rule["rule"]: rule for rule in found["rules"]}
    assert rules["high"]["false_alarms_per_1000_points"] == 250.0
    assert rules["high"]["false_alarms_per_day"] is None
    assert (rules["high"]["found"], rules["high"]["delay_points"], rules["lost"]["firings"]) == (1, 0, 0)
    assert [(one["run"], one["change"]) for one in found["changes"]] == [("good", "new")]
    assert [(one["run"], one["step"]) for one in found["alarms"]] == [("good", 1)]
    assert "no run of this name for gone (labels)" in result.stderr


def test_a_backtest_for_a_person(pack: Path, recorded: Path) -> None:
    """A table of rules, one of anomalies, what was false and what changed."""
    labels = recorded.parent / "labels.json"
    arguments = ("backtest", recorded, "--labels", labels, "--rules", pack, "-p", "high.limit=3")
    shown = _run(*arguments, "--against", pack).stdout

    assert "1 of 1 clean runs alarmed; recall 1.000" in shown
    assert "false: good: high step 1 line 2: loss 4" in shown
    assert "+ good: high step 1 line 2" in shown
    assert (
        "the same firings as before" in _run("backtest", recorded, "--rules", pack, "--against", pack).stdout
    )


def test_limits_fail_a_backtest(pack: Path, recorded: Path) -> None:
    """Exit code 1 and a sentence for each limit that is not kept."""
    labels = recorded.parent / "labels.json"
    arguments = ("backtest", recorded, "--labels", labels, "--rules", pack)
    kept = _run(*arguments, "--min-recall", "1", "--max-alarmed", "0")
    broken = _run(*arguments, "-p", "high.limit=20", "--min-recall", "0.5")
    alarmed = _run(*arguments, "-p", "high.limit=3", "--max-alarmed", "0.5")

    assert kept.exit_code == 0
    assert (broken.exit_code, alarmed.exit_code) == (FOUND, FOUND)
    assert "expected a recall of at least 0.5, got 0" in broken.stderr
    assert "expected alarms in at most 0.5 of the clean runs, got 1" in alarmed.stderr


def test_wrong_input_of_a_backtest(pack: Path, recorded: Path) -> None:
    """Each mistake is one sentence with its exit code."""
    bad = recorded.parent / "bad.json"
    bad.write_text("{")

    missing = _run("backtest", recorded / "none", "--rules", pack)
    labels = _run("backtest", recorded, "--labels", bad, "--rules", pack)
    limits = _run("backtest", recorded, "--rules", pack, "--min-recall", "1")

    assert (missing.exit_code, labels.exit_code, limits.exit_code) == (USAGE, ERROR, USAGE)
    assert "expected a file or a folder, found none of this name" in missing.stderr
    assert "bad.json: expected JSON" in labels.stderr
    assert "--min-recall and --max-alarmed need --labels" in limits.stderr


def test_a_file_that_cannot_be_read_is_said_and_the_rest_scored(pack: Path, recorded: Path) -> None:
    """Exit code 3, and the score of what could be read."""
    (recorded / "broken.jsonl.gz").write_bytes(b"\x1f\x8b" + b"\x00" * 20)
    result = _run("backtest", recorded, recorded / "broken.jsonl.gz", "--rules", pack, "--json")

    assert result.exit_code == ERROR
    assert sum(rule["firings"] for rule in json.loads(result.stdout)["rules"]) == 1
    assert "broken.jsonl.gz" in result.stderr
