"""The throughput pack: a lasting loss of speed is told, what belongs to training is not."""

from __future__ import annotations

import random
from typing import Any, Final

import pytest

from stream import resources
from stream.diagnose.batches import batches
from stream.diagnose.engine import Engine
from stream.rulelang import load_packs

RULES: Final = load_packs([resources.path("rules") / "throughput"])


def _fired(records: list[dict[str, Any]]) -> list[tuple[str, int | None]]:
    engine = Engine(RULES)
    found = [one for batch in batches(records, run="r") for one in engine.process(batch)]
    return [(one.rule, one.step) for one in [*found, *engine.drain()] if one.state == "firing"]


def _lengths(count: int, seed: int) -> list[float]:
    """Relative lengths of batches: a long tail, as in instruction data without packing."""
    rng = random.Random(seed)
    return [rng.lognormvariate(0, 0.4) for _ in range(count)]


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("tps", "throughput-drop"),
        ("perf/throughput", "throughput-drop"),
        ("samples/s", "throughput-drop-samples"),
        ("throughput", "throughput-drop-other"),
    ],
)
def test_a_straggler_shows_in_what_is_logged(name: str, rule: str) -> None:
    """From step 100 on everything takes twice as long: told at the tenth such step."""
    rng = random.Random(1)
    records = [{"step": n, name: (1000 if n < 100 else 500) * rng.gauss(1, 0.05)} for n in range(150)]
    assert _fired(records) == [(rule, 109)]


def test_step_time_counts_where_nothing_else_is_logged() -> None:
    """With tokens per second beside it, a longer step is more work."""
    records = [{"step": n, "step_time": 1.0 if n < 100 else 2.0} for n in range(150)]
    assert _fired(records) == [("step-time-rise", 109)]
    assert _fired([{**one, "tokens_per_second": 1000.0} for one in records]) == []


@pytest.mark.parametrize("seed", range(5))
def test_batches_of_any_length_are_no_loss_of_speed(seed: int) -> None:
    """Tokens per second fall with short batches, step time rises with long ones; neither lasts."""
    lengths = _lengths(400, seed)
    assert _fired([{"step": n, "step_time": length} for n, length in enumerate(lengths)]) == []
    assert _fired([{"step": n, "tokens_per_second": 1000 * length} for n, length in enumerate(lengths)]) == []


def test_evaluations_checkpoints_and_the_first_steps_are_none() -> None:
    """Slow single steps at any regular distance, and a slow beginning."""
    speeds = [100.0 if n < 20 or n % 10 == 0 or n % 25 == 0 else 1000.0 for n in range(400)]
    assert _fired([{"step": n, "tokens_per_second": speed} for n, speed in enumerate(speeds)]) == []


def test_answers_that_grow_longer_are_none() -> None:
    """In reinforcement learning steps take longer as answers do."""
    assert _fired([{"step": n, "step_time": 30 + 0.3 * n} for n in range(400)]) == []


def test_it_resolves_when_speed_is_back() -> None:
    """The baseline is that of before the loss."""
    speeds = [*[1000.0] * 60, *[400.0] * 300, *[990.0] * 5]
    engine = Engine(RULES)
    records = [{"step": n, "tokens_per_second": speed} for n, speed in enumerate(speeds)]
    found = [one for batch in batches(records, run="r") for one in engine.process(batch)]
    assert [(one.state, one.step) for one in [*found, *engine.drain()]] == [("firing", 69), ("resolved", 360)]
