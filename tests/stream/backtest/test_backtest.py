"""Backtests over small recorded runs: the score, the labels, and what changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stream.backtest.changes import changes
from stream.backtest.errors import LabelsError
from stream.backtest.labels import Anomaly, Label, read_labels
from stream.backtest.replaying import Recorded, groups_of, replay
from stream.backtest.scoring import Score, median_delay, score
from stream.offline.errors import OfflineError
from stream.rulelang import RuleSet, load_text

_RULES = """\
pack: mine
rules:
  - {{id: high, category: loss_spike, summary: "high {{loss}}", on: train.step, when: loss > {limit}}}
  - {{id: best, category: milestone, summary: "best", on: train.step, severity: info, when: loss < 0.1}}
"""


def _rules(limit: float = 5) -> RuleSet:
    return load_text(_RULES.format(limit=limit), Path("mine.yaml"))


def _write(folder: Path, name: str, losses: list[float], every_s: float | None = None) -> Path:
    path = folder / f"{name}.jsonl"
    lines: list[dict[str, Any]] = [{"step": 10 * index, "loss": loss} for index, loss in enumerate(losses)]
    for index, line in enumerate(lines):
        if every_s is not None:
            line["time"] = 1_767_225_600 + index * every_s
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def _replay(folder: Path, rules: RuleSet | None = None) -> list[Recorded]:
    problems: list[OfflineError] = []
    recorded = list(replay(groups_of([folder], problems), rules or _rules(), problems))
    assert problems == []
    return recorded


@pytest.fixture
def scored(tmp_path: Path) -> Score:
    """Three clean runs (one of a day, with a false alarm), a spike found and one missed."""
    _write(tmp_path, "calm", [1.0] * 500)
    _write(tmp_path, "noisy", [1.0] * 250 + [9.0] + [1.0] * 249)
    _write(tmp_path, "day", [1.0] * 24 + [9.0], every_s=3600.0)
    _write(tmp_path, "spike", [1.0] * 20 + [4.0, 4.5, 9.0] + [1.0] * 7, every_s=60.0)
    _write(tmp_path, "flat", [1.0] * 30)
    _write(tmp_path, "unknown", [9.0, 0.01, 9.0])
    labels = {
        "calm": Label("clean"),
        "noisy": Label("clean"),
        "day": Label("clean"),
        "spike": Label("broken", (Anomaly("loss_spike", 200), Anomaly("plateau", 250, certain=False))),
        "flat": Label("broken", (Anomaly("plateau", 0),)),
    }
    return score(_replay(tmp_path), labels)


def test_firings_are_counted_by_rule(scored: Score) -> None:
    """All firings in all runs, labelled or not."""
    assert (scored.runs, scored.labelled) == (6, 5)
    assert scored.points == 500 + 500 + 25 + 30 + 30 + 3
    high, best = scored.rules["high"], scored.rules["best"]
    assert (high.firings, high.runs) == (5, 4)
    assert (best.firings, best.runs) == (1, 1)


def test_false_alarms_are_rates(scored: Score) -> None:
    """Per day where there are times, per 1,000 points where there are none."""
    high = scored.rules["high"]
    assert (scored.clean, scored.clean_alarmed, scored.alarmed) == (3, 2, 2 / 3)
    assert (high.false, high.false_timed) == (2, 1)
    assert (scored.clean_days, scored.clean_points) == (1.0, 1000)
    assert (scored.false_per_day(high), scored.false_per_1000(high)) == (1.0, 1.0)
    assert [(run, alarm.rule, alarm.step) for run, alarm in scored.alarms] == [
        ("day", "high", 240),
        ("noisy", "high", 2500),
    ]


def test_recall_and_delay(scored: Score) -> None:
    """A certain anomaly is found by its category; delay is in logged points and seconds."""
    assert scored.recall == 0.5
    spike, plateau = scored.categories["loss_spike"], scored.categories["plateau"]
    assert (spike.found, spike.total, plateau.found, plateau.total) == (1, 1, 0, 1)
    assert median_delay(spike.delays) == (2, 120.0)
    assert median_delay(plateau.delays) == (None, None)
    assert [(run, one.type) for run, one in scored.missed] == [("flat", "plateau")]
    assert (scored.rules["high"].found, median_delay(scored.rules["high"].delays)) == (1, (2, 120.0))


@pytest.mark.parametrize(
    ("anomaly", "recall"),
    [
        (Anomaly("loss_spike", 300), 1.0),
        (Anomaly("loss_spike", 310), 0.0),
        (Anomaly("loss_spike"), 1.0),
        (Anomaly("divergence", 270), 1.0),
        (Anomaly("hang", 270), 0.0),
        (Anomaly("hang", 270, accept=("loss_spike",)), 1.0),
    ],
    ids=["three points early", "four points early", "no step", "kin", "another matter", "accepted"],
)
def test_what_counts_as_found(tmp_path: Path, anomaly: Anomaly, recall: float) -> None:
    """The step with three points of grace, the categories, and what the label accepts."""
    _write(tmp_path, "run", [1.0] * 27 + [9.0] + [1.0] * 10)
    assert score(_replay(tmp_path), {"run": Label("broken", (anomaly,))}).recall == recall


def test_rules_that_only_inform_raise_no_alarm(tmp_path: Path) -> None:
    """A milestone in a clean run is no false alarm."""
    _write(tmp_path, "run", [1.0, 0.01, 1.0])
    found = score(_replay(tmp_path), {"run": Label("clean")})
    assert (found.clean_alarmed, found.rules["best"].firings, found.rules["best"].false) == (0, 1, 0)


def test_two_versions_are_compared(tmp_path: Path) -> None:
    """Gone, new and moved firings, by run and rule; the same ones are not named."""
    _write(tmp_path, "gone", [1.0, 4.0, 1.0])
    _write(tmp_path, "moved", [1.0, 4.0, 9.0, 1.0])
    _write(tmp_path, "same", [1.0, 9.0, 1.0])
    strict, loose = _replay(tmp_path, _rules(5)), _replay(tmp_path, _rules(3))
    assert [(one.run, one.word) for one in changes(loose, strict)] == [("gone", "gone"), ("moved", "moved")]
    assert [(one.run, one.word) for one in changes(strict, loose)] == [("gone", "new"), ("moved", "moved")]
    moved = changes(loose, strict)[1]
    assert moved.before is not None
    assert moved.now is not None
    assert (moved.before.step, moved.now.step) == (10, 20)
    assert changes(strict, strict) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "labels.json: expected JSON: Input data was truncated"),
        ("[]", "labels.json: expected `object`, got `array`"),
        ('{"a": {"anomalies": []}}', "object missing required field `class` - at `$[...]`"),
        ('{"a": {"class": "fine"}}', "invalid enum value 'fine' - at `$[...].class`"),
        (
            '{"a": {"class": "broken", "anomalies": [{"type": "los_spike", "first_step": 3}]}}',
            '"a", anomaly 1: expected a category, got "los_spike"; did you mean "loss_spike"?',
        ),
        (
            '{"a": {"class": "clean", "anomalies": [{"type": "hang"}]}}',
            '"a": expected a clean run to have no anomalies, got 1',
        ),
    ],
)
def test_labels_that_are_wrong(tmp_path: Path, text: str, message: str) -> None:
    """One sentence names file, place, expectation and what came."""
    path = tmp_path / "labels.json"
    path.write_text(text)
    with pytest.raises(LabelsError) as error:
        read_labels(path)
    assert message in str(error.value)


def test_labels_that_are_not_there(tmp_path: Path) -> None:
    """A file that cannot be read is named."""
    with pytest.raises(LabelsError, match=r"none\.json: cannot be read: No such file"):
        read_labels(tmp_path / "none.json")


def test_the_example_of_the_page_is_read(tmp_path: Path) -> None:
    """The labels in docs/backtest.md, as they stand."""
    page = (Path(__file__).parents[3] / "docs" / "backtest.md").read_text()
    path = tmp_path / "labels.json"
    path.write_text(page.split("```json\n")[1].split("```")[0])
    labels = read_labels(path)
    assert labels["baseline-7b"] == Label("clean")
    assert labels["high-lr"].anomalies[1] == Anomaly("divergence", 4300, False, ("plateau",))
