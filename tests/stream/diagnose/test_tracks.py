"""Tracks: what is decided before an event comes, and how events with many shapes are bounded."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pytest

from stream.diagnose.runs import MAX_ROUTES, Emitter, Route
from stream.diagnose.unknown import UNKNOWN, constants, known
from stream.events import Event
from tests.stream.diagnose.stories import Feed, resource, rule, rules, step


def _routes(feed: Feed) -> dict[tuple[str, ...], Route]:
    (run,) = feed.engine.runs.values()
    emitters: list[Emitter] = list(run.emitters.values())
    return emitters[0].routes


def test_a_rule_that_no_such_event_can_concern_is_left_out() -> None:
    """`where: has(kl)` is decided where an event carries no such name; what it carries may yet be null."""
    feed = Feed(
        rules(
            rule("where: has(kl) or has(entropy)\nwhen: loss > 1", name="rl"),
            rule("where: not has(kl) and loss > 0\nwhen: loss > 1", name="other"),
            rule("where: not has(kl)\nwhen: loss > 1", name="always"),
        )
    )
    feed.send(resource(), step(0, loss=0.0), step(1, loss=0.0, kl=1.0))
    tracks = [route.track for route in _routes(feed).values()]
    found = [[(stop.series.rule.id, stop.where is None) for stop in track.stops] for track in tracks if track]
    assert found == [
        [("other", False), ("always", True)], [("rl", False), ("other", False), ("always", False)],
    ]  # fmt: skip


def test_a_window_over_a_value_that_is_not_there_is_not_fed() -> None:
    """An optional field that these events lack brings nothing to a window."""
    feed = Feed(rules(rule("when: has(kl) and loss > 0 and kl > mean(kl, last=5)")))
    feed.send(resource(), step(0, loss=1.0), step(1, loss=1.0, kl=1.0))
    tracks = [route.track for route in _routes(feed).values()]
    assert [len(stop.appends) for track in tracks if track for stop in track.stops] == [0, 1]


def test_what_is_unknown_cannot_be_looked_at() -> None:
    """Any use of a value that is not known yet leaves the question open."""
    assert known(lambda slots: slots[0] is not None, [UNKNOWN]) is True
    assert known(lambda slots: slots[1] and slots[0] > 1, [UNKNOWN, False]) is False
    looks: list[Callable[[Sequence[Any]], Any]] = [
        lambda slots: slots[0] > 1, lambda slots: not slots[0], lambda slots: slots[0] == "x",
        lambda slots: "x" in slots[0], lambda slots: slots[0].lower(), lambda slots: float(slots[0]),
    ]  # fmt: skip
    for ask in looks:
        assert known(ask, [UNKNOWN]) is None
    assert constants(lambda slots, windows: (1.0, windows[0].mean()), []) is None
    with pytest.raises(TypeError, match="the value is not known yet"):
        len(UNKNOWN)


def test_routes_of_an_emitter_are_bounded() -> None:
    """Events whose values have ever new names are judged all the same, and remembered in bounded number."""
    feed = Feed(rules(rule("when: loss > 10")))
    made = []
    for number in range(2 * MAX_ROUTES + 10):
        values = {f"name_{number}": 1.0, "loss": 20.0 if number > 2 * MAX_ROUTES else 1.0}
        made += feed.send(resource(), Event("train.step", number, step=number, values={**values}))
    assert [one.step for one in made] == [2 * MAX_ROUTES + 1]
    assert len(_routes(feed)) <= MAX_ROUTES


def test_watched_or_not_windows_learn_the_same() -> None:
    """The short way of a calm sample leaves the state that the long way leaves, also past NaN and null."""
    texts = rules(
        rule("when: loss > 9 + max(loss, last=5) + min(grad_norm, last=40)", name="plain"),
        rule("learn: calm\nwhen: loss > 3 and loss > mean(loss, last=3)", name="calm"),
        rule("when: has(kl) and kl > 5 + max(kl, last=2) + first(step, last=4)", name="optional"),
        rule("let: {before: 'last(loss, last=4)'}\nwhen: before > 9 + median(before, last=4)", name="nested"),
    )
    quick, told = Feed(texts), Feed(texts, watch=lambda _: None)
    random = Random(3)
    for number in range(600):
        values: dict[str, Any] = {"loss": random.choice([1.0, 2.5, 4.0, math.nan]), "grad_norm": 0.1 * number}
        values |= random.choice([{}, {"kl": 1.5}, {"kl": None}, {"kl": math.inf}])
        one = step(number, **values)
        assert quick.send(resource(), one) == told.send(resource(), one)
    assert quick.engine.snapshot() == told.engine.snapshot()


def test_what_windows_keep_is_bounded_whatever_the_names() -> None:
    """Values are let go of also where every event has other names than the one before."""
    feed = Feed(rules(rule("when: loss > 10 + max(loss, last=5)")))
    for number in range(3000):
        values = {"loss": 1.0, f"name_{number if number < 1000 else 0}": 1.0}
        feed.send(resource(), Event("train.step", number, step=number, values={**values}))
    (run,) = feed.engine.runs.values()
    (series,) = run.series.values()
    assert len(series.windows[0].tape.values) < 120
