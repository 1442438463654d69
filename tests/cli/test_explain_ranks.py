"""`trainwarden explain` of several ranks: what waits for another rank, what comes too late, one too many."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stream import cli
from stream.explain.answers import Answer
from stream.explain.explaining import explain
from stream.explain.printing import show
from stream.offline.finding import find
from stream.rulelang import load_text

BEGIN = 1_700_000_000
PACK = """\
pack: ranks
rules:
  - id: cause
    category: nan_grad
    summary: "s"
    on: train.step
    when: grad_norm > 10
  - id: symptom
    category: loss_spike
    summary: "Loss is {loss:g}"
    on: train.step
    params: {limit: 10}
    when: loss > limit
    inhibited_by: [cause]
  - id: slower
    category: straggler
    summary: "s"
    on: train.step
    when: step_time > 2 * peers.median(step_time)
  - id: hang
    category: hang
    summary: "s"
    absent: {of: train.step, for: 60s, phases: [train]}
  - id: words
    category: custom.words
    summary: "s"
    on: train.log
    by: [run, rank, word]
    match: ['^(?P<word>[a-z]+)$']
    keep_firing: 1m
"""


def _step(rank: int, at: float, step: int | None = None, **values: float) -> dict[str, object]:
    return {"step": int(at) if step is None else step, "time": BEGIN + at, "rank": rank, **values}


def _beat(rank: int, at: float, phase: str) -> dict[str, object]:
    return {
        "event": "train.heartbeat", "time": BEGIN + at, "rank": rank, "step": 2, "train.phase": phase,
    }  # fmt: skip


def _write(folder: Path, *records: Mapping[str, object]) -> Path:
    path = folder / "ranks.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def _json(folder: Path, path: Path, rule: str, *more: object) -> dict[str, Any]:
    pack = folder / "ranks.yaml"
    pack.write_text(PACK)
    words = ["explain", str(path), rule, "--rules", str(pack), "--json", *map(str, more)]
    result = CliRunner().invoke(cli.app, words)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def _answer(path: Path, rule: str, **more: Any) -> Answer:
    rules = load_text(PACK, path)
    found = rules.by_id(rule)
    assert found is not None
    (group,) = find([path], None, [])
    return explain(group, rules, found, **more)


def test_a_decision_held_until_the_turn_of_its_cause(tmp_path: Path) -> None:
    """At its step the rule would fire; then the other rank's record shows the cause, which fires there."""
    path = _write(
        tmp_path, _step(0, 0, loss=1.0), _step(1, 1, loss=20.0), _step(0, 1, grad_norm=20.0),
        _step(0, 3, grad_norm=20.0), _step(1, 3, loss=1.0),
    )  # fmt: skip

    whole, there = _json(tmp_path, path, "symptom"), _json(tmp_path, path, "symptom", "--step", 1)

    assert whole["summary"] == "it never fired: kept quiet by cause"
    assert (whole["outcomes"]["held"], whole["inhibited_by"]) == (1, {"cause": 1})
    moments = [one for one in there["moments"] if one["rank"] == 1]
    assert [one["why"] for one in moments] == [
        "it would fire; whether a cause on another rank keeps it quiet is decided a moment later",
        "it would fire, but is kept quiet by cause, which fires",
    ]
    assert moments[1]["conditions"][0]["shown"] == "loss 20 > limit 10"


def test_a_decision_held_that_no_cause_keeps_quiet(tmp_path: Path) -> None:
    """It fires at its own step, though that was known later."""
    path = _write(
        tmp_path, _step(0, 0, loss=1.0), _step(1, 1, loss=20.0), _step(0, 3, loss=1.0), _step(1, 4, loss=1.0)
    )

    there = _json(tmp_path, path, "symptom", "--step", 1)

    assert there["summary"] == "at step 1: held, firing"
    assert there["moments"][1]["why"] == "it fires here"
    assert _json(tmp_path, path, "symptom")["firings"][0]["step"] == 1


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_symptom_that_its_cause_left_free(tmp_path: Path, ranks: int) -> None:
    """It was kept quiet, went on, and fires when the cause ends: on its own rank or on another."""
    last = ranks - 1
    path = _write(
        tmp_path, _step(0, 1, grad_norm=20.0, loss=1.0), _step(last, 2, loss=20.0),
        _step(last, 3, loss=30.0), _step(0, 4, grad_norm=1.0),
    )  # fmt: skip

    there = _json(tmp_path, path, "symptom", "--step", 3)

    whys = [one["why"] for one in there["moments"] if one["rank"] == last]
    assert whys[-2:] == [
        "it would fire, but is kept quiet by cause, which fires",
        "it fires here: what kept it quiet has ended",
    ]
    assert _json(tmp_path, path, "symptom")["summary"] == "it fired 1 time"


def test_a_record_behind_its_turn(tmp_path: Path) -> None:
    """The other rank has gone on by more than the allowed lateness: there is nobody to compare it with."""
    ahead = [_step(1, 10 * step, step, step_time=1.0) for step in range(1, 20)]
    path = _write(tmp_path, _step(0, 0, step_time=1.0), *ahead, _step(0, 1, step_time=9.0))

    there = _json(tmp_path, path, "slower", "--step", 1, "--rank", 0)

    assert there["summary"] == "at step 1: late"
    assert there["moments"][0]["why"] == "the record came too late to be judged: its turn had passed"


def test_only_late_records_are_the_reason(tmp_path: Path) -> None:
    """Nothing else became of the rule on that rank."""
    ahead = [_step(1, 10 * step, step, step_time=1.0) for step in range(1, 20)]
    path = _write(tmp_path, _step(0, 0, loss=1.0), *ahead, _step(0, 1, step_time=9.0))

    whole = _json(tmp_path, path, "slower", "--rank", 0)

    assert whole["outcomes"] == {"missing": 1, "late": 1}
    assert whole["summary"] == "it never fired: what it should judge came too late"


def test_a_series_too_many(tmp_path: Path) -> None:
    """The run has as many as it may have: this word is not judged, the one before was."""
    path = tmp_path / "words.log"
    path.write_text("one\ntwo\none\n")

    answer = _answer(path, "words", max_series=1)

    assert answer.outcomes == {"firing": 1, "refused": 1, "still firing": 1}


def test_a_rule_whose_only_series_is_too_many(tmp_path: Path) -> None:
    """It says so in the summary and at each step."""
    path = _write(tmp_path, _step(0, 1, loss=1.0, grad_norm=1.0), _step(0, 2, loss=1.0, grad_norm=1.0))

    whole, there = _answer(path, "symptom", max_series=1), _answer(path, "symptom", max_series=1, step=2)

    assert whole.summary == "it never fired: the run has too many series"
    assert [one.why for one in there.moments] == [
        "the run has too many series already: this one is not judged"
    ]


def test_an_absence_that_another_rank_excuses(tmp_path: Path) -> None:
    """A rank that saved for a while keeps the others waiting: no hang."""
    steps = [_step(rank, at, loss=1.0) for at in range(3) for rank in range(2)]
    beats = [_beat(rank, at, "train") for at in range(5, 60, 5) for rank in range(2)]
    tail = [_beat(1, 63, "train"), _beat(0, 58, "checkpoint"), _beat(0, 61, "train")]

    whole = _json(tmp_path, _write(tmp_path, *steps, *beats, *tail), "hang")

    assert (whole["outcomes"]["held"], whole["outcomes"]["excused"]) == (1, 1)


def test_a_person_reads_what_was_held(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both moments, each with its sentence."""
    path = _write(tmp_path, _step(0, 0, loss=1.0), _step(1, 1, loss=20.0), _step(0, 1, grad_norm=20.0))

    show(_answer(path, "symptom", step=1, rank=1))

    printed = capsys.readouterr().out
    assert "symptom in ranks: at step 1: held, inhibited" in printed
    assert printed.count("here") == 2


def test_what_is_held_is_decided_before_the_next_attempt(tmp_path: Path) -> None:
    """Nothing of a recording is left undecided."""
    path = _write(
        tmp_path, _step(0, 0, loss=1.0), _step(1, 1, loss=20.0), {**_step(0, 2, loss=1.0), "attempt": 1}
    )

    assert _json(tmp_path, path, "symptom")["summary"] == "it fired 1 time"
