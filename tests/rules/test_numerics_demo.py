"""The demo's faults against the shipped rules of the step: found within a few steps, and nothing else is."""

from __future__ import annotations

import math

import pytest

from stream import resources
from stream.diagnose.batches import batches
from stream.diagnose.engine import Engine
from stream.rulelang import load_packs

RULES = load_packs([resources.path("rules")])

# Loss and gradient norm of the example trainer at and after step 200 (seed 0), measured.
HEALTHY = [(1.97, 0.7), (2.0, 0.8), (2.02, 0.8), (2.16, 0.9), (2.09, 0.8)]
LR_SPIKE = [(2.0, 0.8), (45.25, 57.0), (4324.7, 3424.6), (6803.0, 8009.1), (312047.0, 85281.0)]
LR_RAMP = [(2.02, 0.8), (2.16, 0.9), (2.09, 1.3), (2.49, 2.8), (3.88, 6.3), (7.0, 25.0), (9.0, 40.0)]
BAD_BATCH = [(1997.45, 841.5), (2.7, 3.3), (4.31, 7.1), (5.29, 9.3), (6.18, 9.4)]
NAN = [(math.nan, math.nan)] * 5


def _descent(number: int) -> tuple[float, float]:
    """A healthy start with a little noise: loss 4.9 to 2.0, gradient norm 4 to 0.8."""
    noise = ((number * 7919) % 13 - 6) / 100
    return 2.0 + 2.9 * math.exp(-number / 25) + noise, 0.8 + 3.2 * math.exp(-number / 20) + noise


def _fired(after: list[tuple[float, float]]) -> dict[str, int | None]:
    values = [*map(_descent, range(200)), *after]
    records = [
        {"step": n, "rank": 0, "loss": loss, "grad_norm": norm} for n, (loss, norm) in enumerate(values)
    ]
    engine = Engine(RULES)
    made = [one for batch in batches(records, run="r") for one in engine.process(batch)]
    return {one.rule: one.step for one in made if one.state == "firing"}


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (HEALTHY, {}),
        ([(2.0, 32.0), (2.0, 0.8)], {}),
        (LR_SPIKE, {"gradient-explosion": 202, "loss-spike": 202}),
        (LR_RAMP, {"gradient-explosion": 205, "loss-spike": 205}),
        (BAD_BATCH, {"gradient-explosion": 203, "loss-spike": 203}),
        (NAN, {"loss-not-finite": 200}),
    ],
    ids=["healthy", "healthy 40x jump", "lr-spike", "lr-ramp", "bad-batch", "nan"],
)
def test_the_demo_s_faults_are_found_and_health_is_not(
    after: list[tuple[float, float]], expected: dict[str, int]
) -> None:
    """Each fault within a few steps; a clean run raises nothing at all."""
    assert _fired(after) == expected


def test_the_trouble_began_with_the_first_of_the_two() -> None:
    """A checkpoint between the first bad step and the one at which a rule is sure is no way back."""
    told = enumerate([*map(_descent, range(200)), *LR_SPIKE])
    records = [{"step": step, "rank": 0, "loss": loss, "grad_norm": norm} for step, (loss, norm) in told]
    engine = Engine(RULES)
    made = [one for batch in batches(records, run="r") for one in engine.process(batch)]
    assert [(one.step, one.evidence["since_step"]) for one in made] == [(202, 201), (202, 201)]


def test_a_rollback_trips_nothing() -> None:
    """Steps go back in the same attempt; the baseline is still the healthy one, the alarm resolves."""
    values = [(n, *_descent(n)) for n in range(200)]
    values += [(200 + n, *pair) for n, pair in enumerate(LR_SPIKE)]
    values += [(n, *_descent(n)) for n in range(175, 300)]
    records = [{"step": n, "rank": 0, "loss": loss, "grad_norm": norm} for n, loss, norm in values]
    engine = Engine(RULES)
    made = [one for batch in batches(records, run="r") for one in engine.process(batch)]
    assert [(one.rule, one.state, one.step) for one in made] == [
        ("gradient-explosion", "firing", 202), ("loss-spike", "firing", 202),
        ("gradient-explosion", "resolved", 175), ("loss-spike", "resolved", 175),
    ]  # fmt: skip


@pytest.mark.parametrize("began", [60, 80, 120, 200])
@pytest.mark.parametrize("fault", [LR_SPIKE, LR_RAMP, BAD_BATCH, NAN], ids=["spike", "ramp", "batch", "nan"])
def test_nothing_fires_once_the_run_was_rolled_back(fault: list[tuple[float, float]], began: int) -> None:
    """What still remembers the fault, as smoothed values do, keeps quiet: the loss is back where it was."""
    back = began - 5 - began % 25
    told = [*enumerate([*map(_descent, range(began)), *fault])]
    told += [(step, _descent(step)) for step in range(back, began + 100)]
    records = [
        {"step": step, "time": number * 0.1, "rank": 0, "loss": loss, "grad_norm": norm}
        for number, (step, (loss, norm)) in enumerate(told)
    ]
    engine = Engine(RULES)
    made = [one for batch in batches(records, run="r") for one in engine.process(batch)]
    fired = {one.rule for one in made if one.state == "firing"}
    assert fired <= {"gradient-explosion", "loss-spike", "loss-not-finite"}
    assert [one.step for one in made if one.state == "resolved"] == [back] * len(fired)
