"""The milestones pack: bests worth a checkpoint, and not every small improvement."""

from __future__ import annotations

import math
import random
from typing import Any, Final

import pytest

from stream import resources
from stream.diagnose.batches import batches
from stream.diagnose.engine import Engine
from stream.rulelang import load_packs

RULES: Final = load_packs([resources.path("rules") / "milestones"])


def _steps(records: list[dict[str, Any]]) -> list[int | None]:
    engine = Engine(RULES)
    found = [one for batch in batches(records, run="r") for one in engine.process(batch)]
    return [one.step for one in [*found, *engine.drain()] if one.state == "firing"]


@pytest.mark.parametrize("length", [100, 1000, 5000])
def test_a_steady_rise_has_few_milestones(length: int) -> None:
    """Each is a quarter of the whole gain above the one before: their number grows with the logarithm."""
    steps = _steps([{"step": n, "reward": 0.01 * n} for n in range(length)])
    assert 2 <= len(steps) <= 5 + math.log(length / 20) / math.log(1.25)


def test_noise_has_none() -> None:
    """A reward that goes nowhere."""
    for seed in range(5):
        rng = random.Random(seed)
        assert len(_steps([{"step": n, "reward": rng.gauss(0, 1)} for n in range(300)])) <= 1


def test_a_dip_and_the_way_back_have_none() -> None:
    """Only what was never reached counts."""
    rewards = [*[0.1 * n for n in range(100)], *[2.0] * 30, *[2 + 0.1 * n for n in range(80)]]
    assert all(
        (step or 0) < 100 for step in _steps([{"step": n, "reward": r} for n, r in enumerate(rewards)])
    )


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("eval_loss", [4, 3, 2.5, 2.2, 2.0, 1.9, 1.85, 1.8, 1.78]),
        ("val/acc", [0.1, 0.3, 0.5, 0.6, 0.65, 0.7, 0.72, 0.74]),
        ("eval/mean_reward", [-1600, -1200, -600, -300, -200, -180, -170, -165]),
    ],
)
def test_evaluations_tell_their_bests(name: str, values: list[float]) -> None:
    """Under the names that trainers use, some and not all of them."""
    records = [{"step": 100 * n, "event": "train.eval", name: value} for n, value in enumerate(values)]
    assert 1 <= len(_steps(records)) <= len(values) // 2


def test_a_milestone_informs_and_asks_for_a_save() -> None:
    """It is no alarm, and its save is an ordinary one, at most every half hour."""
    for rule in RULES.rules:
        assert (rule.severity, rule.category, rule.cooldown_s) == ("info", "milestone", 1800)
        assert [(action.name, dict(action.args)) for action in rule.then] == [("save", {"kind": "regular"})]
