"""Forecasts: what is foreseen of a rule holds within its bounds, and ends with what is judged otherwise."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream import resources
from stream.diagnose.engine import Engine
from stream.diagnose.forecasts import Forecast
from stream.events import VERSION, Batch, Event, Source
from stream.rulelang import load_packs
from tests.stream.diagnose.stories import Feed, resource, rule, rules, step, story
from tests.stream.diagnose.streams import encoded

PACKS = load_packs([resources.path("rules")])
DROP = rule("when: loss < 0.5 * max(loss, last=20)", name="drop")


def _steps(feed: Feed, many: int) -> list[Event]:
    begin = 100 * feed.offset
    return [step(begin + number, loss=1.0 + 0.01 * (number % 3)) for number in range(many)]


def _foreseen(feed: Feed) -> bool:
    (run,) = feed.engine.runs.values()
    return all(series.foreseen is not None for series in run.series.values())


def _calm(feed: Feed) -> None:
    for _ in range(4):
        assert not feed.send(resource(), *_steps(feed, 10))
    assert _foreseen(feed)


@pytest.mark.parametrize("other", [{}, {"kl": 0.1}])
def test_a_sample_that_was_judged_alone_ends_a_forecast(other: dict[str, Any]) -> None:
    """It brought to the windows what no stretch did, by this route or another."""
    feed = Feed(rules(DROP))
    _calm(feed)
    assert not feed.send(resource(), step(100 * feed.offset, loss=50.0, **other))
    assert not _foreseen(feed)
    begin = 100 * (feed.offset + 1)
    assert story(feed.send(resource(), *[step(begin + number, loss=1.0) for number in range(10)])) == [
        ("drop", "firing", 0, begin, None)
    ]


def test_what_was_learnt_while_it_fired_ends_a_forecast() -> None:
    """A rule that learns from all samples fires, ends, and is looked at again."""
    when = "learn: all\nwhen: loss > 40 or (loss > 1.015 and loss < 0.5 * max(loss, last=20))"
    feed = Feed(rules(rule(when)))
    _calm(feed)
    made = [
        one.state for loss in (50.0, 1.0) for one in feed.send(resource(), step(100 * feed.offset, loss=loss))
    ]
    assert made == ["firing", "resolved"]
    assert [one.state for one in feed.send(resource(), *_steps(feed, 10))][:1] == ["firing"]


def test_a_stretch_beyond_its_bounds_is_looked_at() -> None:
    """One value out of bounds is enough; the rule fires where it should."""
    feed = Feed(rules(DROP))
    _calm(feed)
    events = _steps(feed, 10)
    events[6] = step(events[6].step or 0, loss=0.3)
    assert [made.step for made in feed.send(resource(), *events)][:1] == [events[6].step]


def test_windows_that_other_events_fill_are_not_foreseen() -> None:
    """They may change between two stretches."""
    feed = Feed(
        rules(rule("with: {best: 'last(train.eval.eval_loss)'}\nwhen: loss < 0.5 * best", name="below"))
    )
    feed.send(resource(), Event("train.eval", 0, values={"eval_loss": 1.0}))
    for _ in range(4):
        assert not feed.send(resource(), *_steps(feed, 10))
    assert not _foreseen(feed)
    feed.send(resource(), Event("train.eval", 10**12, values={"eval_loss": 9.0}))
    assert [made.state for made in feed.send(resource(), *_steps(feed, 10))] == ["firing"]


def test_bounds_and_number_of_samples() -> None:
    """So many samples in all; texts have no bounds; where no number was, none may be."""
    low, high = [1.0, None, math.inf, True], [2.0, None, -math.inf, True]
    forecast = Forecast(low, high, 10)
    assert not forecast.covers([0.9, None, math.inf, True], high, 4)
    assert not forecast.covers(low, [2.1, None, -math.inf, True], 4)
    assert not forecast.covers([1.0, None, 3.0, True], [2.0, None, 3.0, True], 4)
    assert not forecast.covers([math.inf, None, math.inf, True], [-math.inf, None, -math.inf, True], 4)
    assert not forecast.covers([1.0, None, math.inf, False], high, 4)
    assert forecast.covers(low, high, 4)
    assert forecast.covers([1.5, None, math.inf, True], [1.6, None, -math.inf, True], 6)
    assert not forecast.covers(low, high, 1)


@settings(max_examples=15)
@given(st.integers(0, 10**9))
def test_calm_runs_with_something_now_and_then(seed: int) -> None:
    """All packs over batches of all sizes: diagnoses and state as without stretches, which are watched."""
    random = Random(seed)
    quick, told = Engine(PACKS), Engine(PACKS, watch=lambda _: None)
    number = 0
    for offset in range(60):
        events = []
        for _ in range(random.choice([1, 2, 5, 6, 9, 30])):
            values = {name: abs(random.gauss(1, 0.02)) for name in ("loss", "grad_norm", "step_time")}
            if random.random() < 0.01:
                values[random.choice(["loss", "grad_norm", "kl"])] = random.choice(
                    [0.0, 8.0, 500.0, math.nan]
                )
            events.append(step(number, seq=number, at=0.1 * number, **values))
            number += 1
        batch = Batch(VERSION, "run", Source("otlp_logs", 0, offset, offset), [resource()], events)
        assert encoded(quick.process(batch)) == encoded(told.process(batch))
    assert quick.snapshot() == told.snapshot()
