"""Tracks: what is decided before an event comes, and how events with many shapes are bounded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    found = [[(stop.plan.rule.id, stop.where is None) for stop in track.stops] for track in tracks if track]
    assert found == [
        [("other", False), ("always", True)], [("rl", False), ("other", False), ("always", False)],
    ]  # fmt: skip


def test_a_window_over_a_value_that_is_not_there_is_not_fed() -> None:
    """An optional field that these events lack brings nothing to a window."""
    feed = Feed(rules(rule("when: has(kl) and loss > 0 and kl > mean(kl, last=5)")))
    feed.send(resource(), step(0, loss=1.0), step(1, loss=1.0, kl=1.0))
    tracks = [route.track for route in _routes(feed).values()]
    assert [len(stop.pushes) for track in tracks if track for stop in track.stops] == [0, 1]


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
