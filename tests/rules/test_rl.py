"""The rl pack on runs that nobody drew: agents of stable-baselines3, healthy and broken, logged otherwise."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream import resources
from stream.diagnose.batches import batches
from stream.diagnose.engine import Engine
from stream.rulelang import load_packs
from tests.rules.rl_runs import RUNS

RULES: Final = load_packs([resources.path("rules") / "rl", resources.path("rules") / "numerics"])
REWARD: Final = "rollout/ep_rew_mean"
KL: Final = "train/approx_kl"

Records = list[dict[str, Any]]


def _records(run: str, interval: int = 512) -> Records:
    columns = {name: [float(text) for text in texts.split()] for name, texts in RUNS[run].items()}
    rows = zip(*columns.values(), strict=True)
    return [
        {"step": interval * n, "rank": 0, **dict(zip(columns, row, strict=True))}
        for n, row in enumerate(rows)
    ]


def _alarms(records: Iterable[Mapping[str, Any]]) -> dict[str, int | None]:
    """The first step at which each rule fired, of those that are more than information."""
    engine = Engine(RULES)
    found = [one for batch in batches(records, run="r") for one in engine.process(batch)]
    loud = [one for one in [*found, *engine.drain()] if one.state == "firing" and one.severity != "info"]
    return {one.rule: one.step for one in reversed(loud)}


@pytest.mark.parametrize("run", ["ppo", "dqn"])
def test_agents_that_learn_raise_nothing(run: str) -> None:
    """DQN loses 39 % of its reward half-way and finds it again: a dip, not a collapse."""
    assert _alarms(_records(run)) == {}


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ("ppo-jump", {"kl-explosion": 60, "entropy-collapse-loss": 64}),
        ("ppo-lr", {"kl-explosion-update": 15, "reward-collapse": 58}),
        ("a2c", {"reward-collapse": 130}),
    ],
)
def test_agents_that_break_are_found(run: str, expected: dict[str, int]) -> None:
    """At the first samples that show it: the jump comes at sample 59, A2C begins to fall at 119."""
    assert {rule: (step or 0) // 512 for rule, step in _alarms(_records(run)).items()} == expected


def _rewards(change: Callable[[float], float]) -> Callable[[Records], Records]:
    return lambda records: [{**one, REWARD: change(one[REWARD])} for one in records]


VARIANTS: Final[dict[str, Callable[[Records], Records]]] = {
    "in thousands": _rewards(lambda reward: reward / 1000),
    "times a million": _rewards(lambda reward: reward * 1e6),
    "below zero": _rewards(lambda reward: reward - 300),
    "shifted up": _rewards(lambda reward: reward + 100),
    "counted in updates": lambda records: [{**one, "step": n} for n, one in enumerate(records)],
    "every second point": lambda records: records[::2],
    "begun late": lambda records: records[len(records) // 6 :],
    "a little noisier": lambda records: [
        {**one, REWARD: one[REWARD] + random.Random(n).gauss(0, 4)} for n, one in enumerate(records)
    ],
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("run", RUNS)
def test_the_verdict_stands_when_the_run_is_logged_otherwise(run: str, variant: str) -> None:
    """Scale, sign, counter, interval, beginning and noise decide nothing."""
    expected = {_kind(rule) for rule in _alarms(_records(run))}
    found = {_kind(rule) for rule in _alarms(VARIANTS[variant](_records(run)))}
    assert found <= expected
    assert bool(found) == bool(expected)


def _kind(rule: str) -> str:
    """A collapse of reward or entropy is one finding, whichever rule says it first."""
    return "kl" if rule.startswith("kl-") else "collapse"


@pytest.mark.parametrize(
    ("reward", "kl"),
    [("reward", "kl"), ("critic/score/mean", "actor/ppo_kl"), ("objective/scores", "objective/kl"),
     ("ep_rew_mean", "approx_kl"), ("train/reward", "train/kl")],
)  # fmt: skip
def test_it_is_found_under_the_names_of_other_trainers(reward: str, kl: str) -> None:
    """TRL, verl and stable-baselines3 call the same numbers by other names."""
    renamed = {REWARD: reward, KL: kl}
    records = [{renamed.get(name, name): value for name, value in one.items()} for one in _records("ppo-lr")]
    assert set(_alarms(records)) == {"kl-explosion-update", "reward-collapse"}


_NOISE = st.floats(0.0, 0.6)
_LENGTH = st.integers(5, 250)


@settings(max_examples=15)
@given(st.integers(0, 10**6), _LENGTH, _NOISE, st.floats(0.05, 0.6), st.floats(-3, 3))
def test_learning_with_any_noise_raises_nothing(
    seed: int, length: int, spread: float, middle: float, shift: float
) -> None:
    """A reward that rises to a plateau, however noisy, while the divergence grows with it."""
    noise = random.Random(seed)
    records = []
    for n in range(length):
        rise = 1 / (1 + math.exp(-(n / length - middle) / 0.08))
        kl = 0.3 * rise * math.exp(noise.gauss(0, 0.2))
        records.append({"step": n, "reward": rise + shift + noise.gauss(0, spread), "kl": kl})
    assert _alarms(records) == {}


@settings(max_examples=10)
@given(
    st.integers(0, 10**6),
    st.integers(60, 250),
    st.floats(0.01, 0.1),
    st.sampled_from([1, 30, -1]),
)
def test_a_lost_reward_is_found_whatever_its_scale(seed: int, length: int, spread: float, scale: int) -> None:
    """All that was learnt is gone from two thirds on: found within fifteen samples."""
    noise = random.Random(seed)
    fall = 2 * length // 3
    levels = [
        (min(1.0, 4 * n / length) if n < fall else 0.0) - (1 if scale < 0 else 0) for n in range(length)
    ]
    records = [
        {"step": n, "reward": abs(scale) * (level + noise.gauss(0, spread))} for n, level in enumerate(levels)
    ]
    found = _alarms(records)
    assert any(fall <= (step or 0) <= fall + 15 for step in found.values()), found
