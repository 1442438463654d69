"""A loop of one's own, watched through its optimizer."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch

import emitter
from emitter import _api
from emitter.integrations.torch_optim import watch
from emitter.testing import Captured


def loop(count: int = 4, capturable: bool = False) -> tuple[Any, Any, Any]:
    """A weight, its optimizer, and a schedule that halves the rate at every step."""
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    return weight, optimizer, torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)


def one(weight: Any, optimizer: Any) -> float:
    loss = (weight**2).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.item())


def steps(captured: Captured) -> list[dict[str, Any]]:
    return [log.attributes for log in captured.named("train.step")]


def test_each_step_of_the_optimizer_is_one_event(captured: Captured) -> None:
    """Numbered from where the run goes on, with the rate of the step, and what was logged before it."""
    weight, optimizer, scheduler = loop()
    watched = watch(optimizer, scheduler, step=100)
    for number in range(3):
        watched.log({"train/extra": number}, loss=1.5)
        one(weight, optimizer)
        scheduler.step()

    found = steps(captured)
    assert [values["train.step"] for values in found] == [100, 101, 102]
    assert [values["learning_rate"] for values in found] == pytest.approx([0.1, 0.05, 0.025])
    assert [values["train/extra"] for values in found] == [0, 1, 2]
    assert all(values["loss"] == 1.5 for values in found)


def test_values_count_for_one_step_only(captured: Captured) -> None:
    """Nothing is repeated at the next step."""
    weight, optimizer, _ = loop()
    watched = watch(optimizer)
    watched.log(loss=2.0)
    one(weight, optimizer)
    one(weight, optimizer)

    assert ["loss" in values for values in steps(captured)] == [True, False]


def test_a_step_that_a_scaler_skips_is_none(captured: Captured) -> None:
    """Gradients that are not finite: GradScaler does not step, and nothing is reported."""
    weight, optimizer, _ = loop()
    watch(optimizer)
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale((weight * float("inf")).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()
    scaler.scale((weight**2).sum()).backward()
    scaler.step(optimizer)

    assert [values["train.step"] for values in steps(captured)] == [0]


def test_training_is_bit_identical_with_and_without(captured: Captured) -> None:
    """The hook changes no weight."""
    plain, optimizer, _ = loop()
    losses = [one(plain, optimizer) for _ in range(5)]
    watched, optimizer, _ = loop()
    watch(optimizer)

    assert [one(watched, optimizer) for _ in range(5)] == losses
    assert torch.equal(plain, watched)


def test_commands_act_at_the_end_of_a_step(captured: Captured) -> None:
    """``set`` reaches the scheduler; ``stop`` ends the loop."""
    weight, optimizer, scheduler = loop()
    watch(optimizer, scheduler)
    change = captured.command("set", args={"parameter": "lr", "value": 0.01})
    one(weight, optimizer)
    scheduler.step()
    one(weight, optimizer)
    stop = captured.command("stop")

    with pytest.raises(emitter.Stop):
        one(weight, optimizer)

    assert steps(captured)[1]["learning_rate"] == pytest.approx(0.005)
    assert [captured.states(command)[-1] for command in (change, stop)] == ["succeeded", "succeeded"]


def test_closing_takes_everything_back(captured: Captured) -> None:
    """No more events, and no reference to the optimizer."""
    weight, optimizer, _ = loop()
    watch(optimizer).close()
    one(weight, optimizer)

    assert steps(captured) == []
    assert _api._tunables == {}


def test_a_second_optimizer_is_not_counted(captured: Captured, caplog: pytest.LogCaptureFixture) -> None:
    """A GAN has two; the steps of the first one are the run's."""
    first, second = loop(), loop()
    watched, other = watch(first[1]), watch(second[1])
    with caplog.at_level(logging.WARNING, "emitter"):
        for _ in range(2):
            one(*first[:2])
            one(*second[:2])

    assert [values["train.step"] for values in steps(captured)] == [0, 1]
    assert [r.message for r in caplog.records if "another integration reports" in r.message]
    assert watched.step == other.step == 2


def test_without_a_session_nothing_happens() -> None:
    """As every call of the emitter before ``init``."""
    weight, optimizer, _ = loop()
    watch(optimizer)

    assert one(weight, optimizer) == 2.0


def test_what_is_no_optimizer_is_refused() -> None:
    """At once, with what was expected and what came."""
    with pytest.raises(TypeError, match=r"expected a torch\.optim\.Optimizer .* got str"):
        watch("adam")
