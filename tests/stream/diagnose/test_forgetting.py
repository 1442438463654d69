"""What a worker remembers is bounded by what runs now: runs that end are forgotten."""

from __future__ import annotations

import gc

from stream.diagnose.engine import ENDED_S, IDLE_S, Engine
from stream.diagnose.runs import Run
from stream.diagnose.series import Series
from stream.events import Event
from tests.stream.diagnose.stories import Feed, beat, ended, resource, rule, rules, step, story
from tests.stream.diagnose.streams import OF_EVERY_KIND


def short_run(feed: Feed, number: int) -> list[Event]:
    """A run of three steps that ends."""
    at = float(number)
    sent = [
        beat(at, 0),
        *(step(n, seq=n + 1, at=at, loss=1.0, grad_norm=1.0) for n in range(3)),
        ended(at, 4),
    ]
    feed.send(resource(run=f"short-{number}", emitter=f"e{number}"), *sent)
    return sent


def alive(kind: type) -> int:
    """How many of this kind are somewhere in memory."""
    gc.collect()
    return sum(type(one) is kind for one in gc.get_objects())


def test_thousands_of_short_runs_leave_nothing_behind() -> None:
    """One a second: there are never more than of the last ten minutes, and in the end none."""
    runs, series = alive(Run), alive(Series)
    feed = Feed(OF_EVERY_KIND)
    most = 0
    for number in range(1_200):
        short_run(feed, number)
        feed.tick(float(number))
        most = max(most, len(feed.engine.runs))
    assert ENDED_S < most <= ENDED_S + 65
    snapshot = len(feed.engine.snapshot())
    feed.tick(1_200 + ENDED_S + 100)
    assert dict(feed.engine.runs) == {}
    assert feed.engine.counts.runs_expired == 1_200
    assert len(feed.engine.snapshot()) < snapshot / 100
    assert alive(Run) <= runs
    assert alive(Series) <= series


def test_a_run_that_said_nothing_at_its_end_is_kept_for_hours() -> None:
    """It may only be held up; what it had open resolves as expired."""
    feed = Feed(rules(rule("when: loss > 10")))
    feed.tick(0.0)
    feed.send(resource(), step(0, loss=20.0))
    assert feed.tick(ENDED_S + 100) == []
    assert list(feed.engine.runs) == ["run"]
    assert story(feed.tick(IDLE_S + 700)) == [("large", "resolved", 0, 0, "expired")]
    assert list(feed.engine.runs) == []


def test_one_rank_that_lives_keeps_the_run() -> None:
    """Only a run all of whose emitters have ended is over."""
    feed = Feed(OF_EVERY_KIND)
    feed.tick(0.0)
    feed.send(resource(0), beat(0.0, 0), ended(0.0, 1))
    feed.send(resource(1), beat(0.0, 0))
    feed.tick(ENDED_S + 100)
    assert list(feed.engine.runs) == ["run"]


def test_the_next_attempt_of_a_forgotten_run_is_judged() -> None:
    """It begins as any run does."""
    feed = Feed(rules(rule("when: loss > 10")))
    feed.tick(0.0)
    feed.send(resource(attempt=0), ended(0.0, 0))
    feed.tick(ENDED_S + 100)
    made = feed.send(resource(attempt=1), step(0, seq=0, loss=20.0))
    assert [(one.rule, one.attempt) for one in made] == [("large", 1)]


def test_ended_emitters_hold_no_routes() -> None:
    """An attempt whose processes come and go keeps little of each that went."""
    engine = Engine(OF_EVERY_KIND)
    feed = Feed(OF_EVERY_KIND)
    feed.engine = engine
    for number in range(50):
        feed.send(resource(0, emitter=f"e{number}"), step(number, seq=0, loss=1.0), ended(float(number), 1))
    emitters = engine.runs["run"].emitters.values()
    assert (len(emitters), sum(len(one.routes) for one in emitters)) == (50, 0)
