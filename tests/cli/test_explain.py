"""`trainwarden explain`: every way in which a rule does not fire has its own answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from stream import cli
from stream.cli.options import ERROR, USAGE

PACK = """\
pack: why
rules:
  - id: jump
    category: grad_explosion
    summary: "Gradient norm {grad_norm:.3g}"
    on: train.step
    learn: calm
    where: step > warmup
    params: {warmup: 3, limit: 10, enough: 5}
    let:
      ratio: grad_norm / median(grad_norm, last=20)
    when: ratio > limit and count(grad_norm, last=20) >= enough
    for: 2
    cooldown: 10m
    inhibited_by: [not-finite]
  - id: not-finite
    category: nan_loss
    summary: "Loss is {loss:g}"
    on: train.step
    when: not isfinite(loss)
  - id: watched
    category: custom.watched
    summary: "s"
    on: train.step
    mode: shadow
    when: loss > 5
  - id: trial
    category: custom.trial
    summary: "s"
    on: train.step
    maturity: experimental
    when: loss > 5
  - id: oom
    category: cuda_oom
    summary: "s"
    on: train.log
    match: ['CUDA out of memory']
  - id: lately
    category: custom.lately
    summary: "s"
    on: train.step
    when: mean(loss, over="5m") > 5
  - id: kl-high
    category: kl_explosion
    summary: "s"
    on: train.step
    when: kl > 1
"""


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """The rules of these tests."""
    path = tmp_path / "why.yaml"
    path.write_text(PACK)
    return path


def write(folder: Path, *records: Mapping[str, object]) -> Path:
    """A recorded run."""
    path = folder / "my-run.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def run(pack: Path, *arguments: object) -> Result:
    """The command with these rules."""
    words = ["explain", *map(str, arguments), "--rules", str(pack)]
    return CliRunner().invoke(cli.app, words, env={"COLUMNS": "80", "NO_COLOR": "1"})


def answer(pack: Path, *arguments: object) -> dict[str, Any]:
    """The one answer as JSON."""
    result = run(pack, *arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def at(pack: Path, path: Path, rule: str, step: int) -> dict[str, Any]:
    """What became of a rule at a step."""
    (moment,) = answer(pack, path, rule, "--step", step)["moments"]
    found: dict[str, Any] = moment
    return found


def norms(*values: float, **extra: object) -> list[dict[str, object]]:
    """Steps from 0 with these gradient norms."""
    return [{"step": step, "grad_norm": value, "loss": 1.0, **extra} for step, value in enumerate(values)]


def test_a_condition_that_does_not_hold_is_shown_part_by_part(pack: Path, tmp_path: Path) -> None:
    """Each comparison with its values and thresholds, also of windows that stand in the condition itself."""
    path = write(tmp_path, *norms(*[1.0] * 15, 8.0, *[1.0] * 5))

    moment = at(pack, path, "jump", 15)

    assert moment["outcome"] == "no match"
    assert [(one["shown"], one["holds"]) for one in moment["conditions"]] == [
        ("ratio 8 > limit 10", False),
        ("count(grad_norm, last=20) 11 >= enough 5", True),
    ]
    assert moment["why"].startswith("the condition does not hold: ratio 8 > limit 10")
    assert moment["values"] == {"grad_norm": 8.0, "ratio": 8.0}


def test_a_window_that_is_not_full_is_named(pack: Path, tmp_path: Path) -> None:
    """How many values it holds, of how many."""
    moment = at(pack, write(tmp_path, *norms(*[1.0] * 10)), "jump", 6)

    assert "windows not full: 2 of 20" in moment["why"]
    assert {"count": 2, "last": 20, "over_s": None} in moment["windows"]
    assert [one["holds"] for one in moment["conditions"]] == [False, False]


def test_a_missing_field_is_named_with_its_neighbour(pack: Path, tmp_path: Path) -> None:
    """Also over the whole run, where the rule is asleep."""
    path = write(tmp_path, *({"step": step, "grad_nrom": 1.0, "loss": 2.0} for step in range(9)))

    whole = answer(pack, path, "jump")

    assert at(pack, path, "jump", 5)["outcome"] == "missing"
    assert 'lacks `grad_norm` (did you mean "grad_nrom"?)' in at(pack, path, "jump", 5)["why"]
    assert (whole["missing"], whole["summary"]) == (
        {"grad_norm": 9},
        "it never fired: no record carried `grad_norm`",
    )
    assert whole["notes"] == ['asleep: no train.step carried `grad_norm` (did you mean "grad_nrom"?)']


def test_where_that_does_not_hold_is_shown_with_its_values(pack: Path, tmp_path: Path) -> None:
    """The record is no sample."""
    moment = at(pack, write(tmp_path, *norms(*[1.0] * 10)), "jump", 2)

    assert (moment["outcome"], moment["why"]) == (
        "where", "no sample: `where` does not hold: step 2 > warmup 3",
    )  # fmt: skip


def test_pending_says_how_many_of_how_many(pack: Path, tmp_path: Path) -> None:
    """The condition holds, not yet for long enough."""
    path = write(tmp_path, *norms(*[1.0] * 15, 30.0, *[1.0] * 5))

    moment = at(pack, path, "jump", 15)
    whole = answer(pack, path, "jump")

    assert (moment["outcome"], moment["why"]) == ("pending", "it matches, 1 of 2 samples in a row")
    assert whole["summary"] == "it never fired: the condition held, but not for long enough"


def test_firing_and_after(pack: Path, tmp_path: Path) -> None:
    """Where it fires, where it still does, and where it ended."""
    path = write(tmp_path, *norms(*[1.0] * 15, 30.0, 30.0, 30.0, 1.0, 1.0))

    outcomes = [at(pack, path, "jump", step)["outcome"] for step in (15, 16, 17, 18)]
    whole = answer(pack, path, "jump")

    assert outcomes == ["pending", "firing", "still firing", "resolved"]
    assert [(one["step"], one["rank"]) for one in whole["firings"]] == [(16, 0)]
    assert whole["summary"] == "it fired 1 time"
    assert whole["outcomes"]["where"] == 4


def test_inhibited_names_the_cause(pack: Path, tmp_path: Path) -> None:
    """The cause fires at the same step."""
    records = norms(*[1.0] * 15, 30.0, 30.0, 30.0)
    records[16]["loss"] = records[17]["loss"] = "NaN"
    path = write(tmp_path, *records)

    assert "kept quiet by not-finite" in at(pack, path, "jump", 16)["why"]
    assert answer(pack, path, "jump")["summary"] == "it never fired: kept quiet by not-finite"


def test_notes_say_what_holds_at_every_step(pack: Path, tmp_path: Path) -> None:
    """Shadow mode, experimental rules, rules that need times, cooldowns."""
    path = write(tmp_path, *norms(1.0, 1.0))
    bad = [1.0] * 15 + [30.0, 30.0, 1.0, 30.0, 30.0]
    timed = [{**one, "time": 1_700_000_000 + 10 * index} for index, one in enumerate(norms(*bad))]

    assert answer(pack, path, "watched")["notes"] == [
        "it is in shadow mode: it is diagnosed, and nothing is done"
    ]
    assert "the rule is experimental" in answer(pack, path, "trial")["notes"][0]
    assert answer(pack, path, "trial", "--experimental")["outcomes"] == {"no match": 2}
    assert "this data has no times" in answer(pack, path, "lately")["notes"][0]
    assert answer(pack, path, "oom")["notes"] == ["asleep: no train.log came"]
    (note,) = answer(pack, write(tmp_path, *timed), "jump")["notes"]
    assert note.startswith("cooldown: 1 firings within 600 s of the one before (step 19)")


def test_the_nearest_miss_is_found(pack: Path, tmp_path: Path) -> None:
    """The step at which the condition was closest to holding."""
    values = [1.0] * 30
    values[20], values[25] = 6.0, 9.5

    nearest = answer(pack, write(tmp_path, *norms(*values)), "jump")["nearest"]

    assert (nearest["step"], nearest["conditions"][0]["shown"]) == (25, "ratio 9.5 > limit 10")


def test_log_rules_are_explained_by_line(pack: Path, tmp_path: Path) -> None:
    """Lines that no pattern matches are counted."""
    path = tmp_path / "train.log"
    path.write_text("hello\nstep: 1 loss: 2.0\nbye\n")

    whole = answer(pack, path, "oom")

    assert whole["outcomes"] == {"unmatched": 3}
    assert whole["summary"] == "it never fired: no line matched its patterns"


def test_ranks_are_told_apart(pack: Path, tmp_path: Path) -> None:
    """One answer for each rank at a step; --rank asks for one."""
    path = write(tmp_path, *({"step": 1, "loss": 1.0 + rank, "rank": rank} for rank in (0, 1, 2)))

    whole = answer(pack, path, "watched", "--step", 1)
    one = answer(pack, path, "watched", "--step", 1, "--rank", 2)

    assert [moment["rank"] for moment in whole["moments"]] == [0, 1, 2]
    assert [moment["values"] for moment in one["moments"]] == [{"loss": 3.0}]


def test_a_person_reads_it_at_80_columns(pack: Path, tmp_path: Path) -> None:
    """The summary, the counts, the nearest miss with each part of the condition."""
    result = run(pack, write(tmp_path, *norms(*[1.0] * 15, 8.0, *[1.0] * 5)), "jump")

    assert max(map(len, result.stdout.splitlines())) <= 80
    assert result.stdout.startswith("jump in my-run: it never fired: the condition never held")
    assert "no  ratio 8 > limit 10" in result.stdout
    assert "yes count(grad_norm, last=20) 11 >= enough 5" in result.stdout


def test_a_step_that_never_came_says_so(pack: Path, tmp_path: Path) -> None:
    """Nothing was judged there."""
    whole = answer(pack, write(tmp_path, *norms(1.0)), "jump", "--step", 99)

    assert whole["summary"] == "the rule judged nothing at step 99: no event of its kind came with that step"


def test_unknown_rules_and_broken_files(pack: Path, tmp_path: Path) -> None:
    """A guess for the rule (2); the reader's words for the file (3); no stack for a name (2)."""
    unknown = run(pack, write(tmp_path, *norms(1.0)), "jmup")
    (tmp_path / "broken.jsonl").write_bytes(b"")
    broken = run(pack, tmp_path / "broken.jsonl", "jump")

    assert (unknown.exit_code, broken.exit_code) == (USAGE, ERROR)
    assert 'there is no rule "jmup"; did you mean "jump"?' in unknown.stderr
    assert "broken.jsonl: the file is empty" in broken.stderr


def test_params_change_the_answer(pack: Path, tmp_path: Path) -> None:
    """The overridden value is the one shown."""
    path = write(tmp_path, *norms(*[1.0] * 15, 8.0, 8.0, 1.0))

    whole = answer(pack, path, "jump", "--params", "jump.limit=5", "--step", 15)

    assert whole["moments"][0]["conditions"][0]["shown"] == "ratio 8 > limit 5"
