"""The numerics pack on runs that nobody drew: small torch models, healthy and broken, logged otherwise."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import pytest

from stream import resources
from stream.diagnose.batches import batches
from stream.diagnose.engine import Engine
from stream.rulelang import load_packs
from tests.rules.numeric_runs import EVALUATED, RUNS

RULES: Final = load_packs([resources.path("rules") / "numerics"])
HEALTHY: Final = ("cnn", "gpt", "mlp")

Records = list[dict[str, Any]]


def _records(run: str) -> Records:
    columns = {name: [float(text) for text in texts.split()] for name, texts in RUNS[run].items()}
    rows = zip(*columns.values(), strict=True)
    return [{"step": n, "rank": 0, **dict(zip(columns, row, strict=True))} for n, row in enumerate(rows)]


def _alarms(records: Iterable[Mapping[str, Any]]) -> dict[str, int | None]:
    """The first step at which each rule fired."""
    engine = Engine(RULES)
    found = [one for batch in batches(records, run="r") for one in engine.process(batch)]
    found += engine.drain()
    return {one.rule: one.step for one in reversed(found) if one.state == "firing"}


def _times(factor: float, name: str) -> Callable[[Records], Records]:
    return lambda records: [{**record, name: record[name] * factor} for record in records]


def _without(name: str) -> Callable[[Records], Records]:
    return lambda records: [{key: record[key] for key in record if key != name} for record in records]


def _noisy(records: Records) -> Records:
    chance = random.Random(0)
    return [{**record, "loss": record["loss"] * chance.lognormvariate(0, 0.03)} for record in records]


SAME: Final = {
    "as it is": lambda records: records,
    "another unit of loss": _times(1000.0, "loss"),
    "a smaller unit of loss": _times(0.01, "loss"),
    "another unit of gradient": _times(1e4, "grad_norm"),
    "every second step": lambda records: records[::2],
    "every third step": lambda records: records[::3],
    "a noisier loss": _noisy,
    "begun later": lambda records: records[5:],
    "no gradient norm": _without("grad_norm"),
}


@pytest.mark.parametrize("logged", SAME)
@pytest.mark.parametrize("run", HEALTHY)
def test_healthy_runs_raise_nothing_however_they_are_logged(run: str, logged: str) -> None:
    """Restarts of the schedule, single samples as batches, a regression whose first loss is nearly zero."""
    assert _alarms(SAME[logged](_records(run))) == {}


@pytest.mark.parametrize("logged", [name for name in SAME if "gradient norm" not in name])
@pytest.mark.parametrize("run", ["gpt-lr", "mlp-decay"])
def test_a_run_that_blows_up_is_found_however_it_is_logged(run: str, logged: str) -> None:
    """Gradient or loss is named within ten steps of step 30, never before."""
    found = _alarms(SAME[logged](_records(run)))
    assert found.keys() & {"gradient-explosion", "loss-spike"}
    assert all(step is not None and 30 <= step < 40 for step in found.values())


def test_a_rate_that_is_too_high_from_the_start() -> None:
    """There is no healthy step to compare with but the first."""
    assert _alarms(_records("gpt-start")) == {"divergence-from-start": 4}


def test_parameters_without_gradient() -> None:
    """The norm is 0 and the loss stays, with its noise."""
    assert _alarms(_records("mlp-frozen")) == {"gradient-vanishing": 30}


def test_learning_by_heart() -> None:
    """The training loss falls and the evaluation loss rises, twice in a row."""
    records: Records = []
    for step, train, evaluation in EVALUATED:
        records += [
            {"step": step, "loss": train},
            {"step": step, "eval_loss": evaluation, "event": "train.eval"},
        ]
    assert _alarms(records) == {"overfitting": 149}


@pytest.mark.parametrize("name", ["reward_mean", "kl", "value_loss", "clip_fraction"])
def test_the_loss_of_reinforcement_learning_is_left_alone(name: str) -> None:
    """Its size has no meaning: only values that are not finite count."""
    broken = [{**record, name: 0.1} for record in _records("gpt-lr")]
    assert _alarms(broken) == {}
    assert _alarms([*broken, {**broken[-1], "step": 90, "loss": float("nan")}]) == {"loss-not-finite": 90}


@pytest.mark.parametrize("cause", ["loss-not-finite"])
def test_what_is_not_finite_keeps_the_rest_quiet(cause: str) -> None:
    """A loss that is NaN for good is one diagnosis, whatever the gradient norm does."""
    records = _records("gpt-lr")[:30]
    records += [
        {"step": n, "rank": 0, "loss": float("nan"), "grad_norm": float("inf")} for n in range(30, 90)
    ]
    assert _alarms(records) == {cause: 30}
