"""Lanes: when several ranks have been heard, in which order they are judged, and what is too late."""

from __future__ import annotations

import pytest

from stream.diagnose.alignment import Alignment
from stream.diagnose.clock import NOWHERE
from stream.diagnose.engine import Engine
from stream.diagnose.watermark import ENDLESS, NEVER, Watermark
from stream.events import VERSION, Batch, Event, Resource, Source
from tests.stream.diagnose.stories import SECOND, Feed, beat, ended, line, rule, rules, step, story

LATENESS = 5 * SECOND
WHOLE = rule("when: loss > 10\nby: [run]", name="whole")


def _rank(rank: int, world: int | None = 2, attempt: int = 0) -> Resource:
    return Resource(
        run="run", rank=rank, attempt=attempt, world_size=world, emitter=f"e{attempt}.{rank}", role="trainer"
    )


def _heard(*times: tuple[int, float], world: int | None = 2) -> Watermark:
    mark = Watermark(LATENESS)
    for rank, at in times:
        mark.hear(f"e{rank}", _rank(rank, world), int(at * SECOND), True, NOWHERE)
    return mark


def test_time_has_passed_when_every_rank_was_heard_beyond_it() -> None:
    """The slowest of the ranks says how far; strictly, for it may say more of the same moment."""
    assert _heard((0, 3.0), (1, 2.0)).levels()[0] == 2 * SECOND - 1
    assert Watermark.load(LATENESS, _heard((0, 3.0), (1, 2.0)).save()).levels()[0] == 2 * SECOND - 1


def test_ranks_that_were_never_heard_are_waited_for_by_the_lateness() -> None:
    """As many as world_size says, for the first minute of the attempt."""
    assert _heard((0, 3.0), (1, 3.0), world=3).levels()[0] == -2 * SECOND
    assert _heard((0, 0.0), (0, 61.0), world=3).alone


def test_nobody_waits_for_an_idle_rank_longer_than_the_lateness() -> None:
    """Without a clock time has passed when the newest event is that much newer."""
    assert _heard((0, 1.0), (1, 20.0)).levels() == (15 * SECOND, 15 * SECOND)


def test_nobody_waits_for_a_rank_that_ended() -> None:
    """And when all have ended, nothing is waited for."""
    mark = _heard((0, 1.0), (1, 3.0))
    mark.end("e0")
    assert mark.levels()[0] == 3 * SECOND - 1
    mark.end("e1")
    assert mark.levels() == (ENDLESS, ENDLESS)


def test_alone_is_who_expects_nobody() -> None:
    """A world of one, or an unknown one with a single emitter."""
    assert _heard((0, 1.0), world=1).alone
    assert _heard((0, 1.0), world=None).alone
    assert not _heard((0, 1.0), world=2).alone
    assert not _heard((0, 1.0), (1, 1.0), world=None).alone
    assert Watermark(LATENESS).levels() == (NEVER, NEVER)


def _aligned(*takes: tuple[str, int, float], world: int = 2) -> tuple[list[tuple[int, list[str]]], list[str]]:
    steps, judged, late = Alignment[str](LATENESS), [], []
    for who, number, at in takes:
        judged += list(steps.complete(int(at * SECOND), world))
        if not steps.take(who, number, int(at * SECOND), f"{who}{number}"):
            late.append(f"{who}{number}")
        steps = Alignment.load(LATENESS, steps.save())
    return judged + list(steps.complete(int(takes[-1][2] * SECOND), world)), late


def test_a_step_is_complete_when_everybody_has_gone_on() -> None:
    """Not before: a rank may say more of the same step."""
    judged, late = _aligned(("a", 0, 0), ("b", 0, 0.1), ("a", 0, 0.2), ("a", 1, 1), ("b", 1, 1.1))
    assert (judged, late) == ([(0, ["a0", "b0", "a0"])], [])


def test_a_step_waits_no_longer_than_the_lateness() -> None:
    """Who comes later is late, and is not waited for until it is heard again."""
    judged, late = _aligned(("a", 0, 0), ("b", 0, 0), ("a", 1, 1), ("a", 2, 6.5), ("b", 1, 7), ("a", 3, 8))
    assert judged == [(0, ["a0", "b0"]), (1, ["a1"])]
    assert late == ["b1"]


def test_ranks_that_log_seldom_are_passed_over() -> None:
    """A rank that skips steps has gone on when it says a later one."""
    judged, _ = _aligned(
        ("a", 0, 0), ("b", 0, 0), ("a", 1, 1), ("a", 2, 2), ("b", 2, 2), ("a", 3, 3), ("b", 4, 3)
    )
    assert judged == [(0, ["a0", "b0"]), (1, ["a1"]), (2, ["a2", "b2"])]


def test_steps_may_go_back() -> None:
    """After a rollback inside the process the same steps are judged again; who lags alone is late."""
    forth = [(who, n, n * 10.0) for n in range(3) for who in "ab"]
    back = [(who, n, 40.0 + n) for n in range(1, 4) for who in "ab"]
    judged, late = _aligned(*forth, *back)
    assert [number for number, _ in judged] == [0, 1, 2, 1, 2]
    assert (judged[-1], late) == ((2, ["a2", "b2"]), [])


def test_a_rank_that_ended_is_not_waited_for() -> None:
    """A step is complete without it."""
    steps = Alignment[str](LATENESS)
    for who in "abc":
        steps.take(who, 0, 0, who)
    steps.leave("c")
    for who in "ab":
        steps.take(who, 1, SECOND, who)
    assert list(steps.complete(SECOND, 2)) == [(0, ["a", "b", "c"])]


def test_a_single_emitter_is_answered_at_once() -> None:
    """Also by rules over the whole run."""
    feed = Feed(rules(WHOLE))
    assert len(feed.send(_rank(0, 1), step(0, seq=0, loss=20.0))) == 1


@pytest.mark.parametrize("arrival", [(0, 1), (1, 0)])
def test_several_are_judged_in_the_order_of_step_and_rank(arrival: tuple[int, int]) -> None:
    """Whatever the order of arrival, the first of the ranks makes it fire."""
    feed, made = Feed(rules(rule("when: loss > 10\nby: [run]", name="whole", summary="rank {rank}"))), []
    for number in range(4):
        for rank in arrival:
            made += feed.send(_rank(rank), step(number, seq=number, at=number + rank / 10, loss=20.0))
    assert [(one.summary, one.rank, one.step) for one in made] == [("rank 0", None, 0)]


def test_what_comes_after_its_turn_is_counted_and_left_out_across_ranks_alone() -> None:
    """Rules over one rank take it still."""
    feed = Feed(rules(WHOLE, rule("when: loss > 10", name="own")))
    feed.send(_rank(0), step(0, seq=0, at=0, loss=1.0))
    for number in range(1, 4):
        feed.send(_rank(1), step(number, seq=number - 1, at=number * 10, loss=1.0))
    made = feed.send(_rank(0), step(1, seq=1, at=1, loss=20.0))
    assert story(made) == [("own", "firing", 0, 1, None)]
    assert feed.engine.counts.late_events == 1
    assert [one.rule for one in feed.engine.drain()] == []


def test_events_of_a_rank_that_stopped_are_judged_by_the_clock() -> None:
    """The lateness after their time."""
    feed = Feed(rules(WHOLE))
    feed.tick(0)
    feed.send(_rank(0), step(0, seq=0, at=1, loss=20.0))
    feed.send(_rank(1), step(0, seq=0, at=1, loss=20.0))
    assert feed.tick(5) == []
    assert story(feed.tick(12)) == [("whole", "firing", None, 0, None)]


def test_the_lateness_is_a_setting() -> None:
    """Here an hour: nothing passes but by all ranks."""
    feed = Feed(rules(WHOLE), lateness_s=3600.0)
    feed.tick(0)
    feed.send(_rank(0), step(0, seq=0, at=1, loss=20.0))
    assert feed.tick(3000) == []
    assert len(feed.engine.drain()) == 1


def test_what_waits_dies_with_its_attempt() -> None:
    """Nothing of attempt n fires in n+1; what was left unjudged is counted."""
    feed = Feed(rules(WHOLE, rule("when: loss > 10\ninhibited_by: [whole]", name="own")))
    feed.send(_rank(0), step(0, seq=0, loss=20.0))
    assert feed.send(_rank(0, attempt=1), step(0, seq=0, loss=1.0)) == []
    assert (feed.tick(100), feed.engine.drain()) == ([], [])
    assert feed.engine.counts.fenced == 2


def test_when_all_have_ended_everything_is_resolved() -> None:
    """What a rank had open ends with it, what the run had open with the last one."""
    feed, made = Feed(rules(WHOLE, rule("when: loss > 2 * peers.max(loss)", name="far"))), []
    for rank, loss in enumerate((50.0, 20.0)):
        made += feed.send(_rank(rank), step(0, seq=0, loss=loss))
    made += feed.send(_rank(0), ended(1.0, 1))
    made += feed.send(_rank(1), beat(2.0, 1), ended(3.0, 2))
    assert [(one.rule, one.state, one.rank, one.time[17:19]) for one in made] == [
        ("whole", "firing", None, "00"), ("far", "firing", 0, "00"),
        ("far", "resolved", 0, "01"), ("whole", "resolved", None, "03"),
    ]  # fmt: skip


def test_lines_of_all_ranks_are_one_series_where_by_says_so() -> None:
    """Quiet by event time: until everything up to its end was read."""
    feed = Feed(
        rules(rule("match: [bad]\nfor: 3\nkeep_firing: 10s\nby: [run]", name="lines", on="train.log"))
    )
    made = []
    for at in range(3):
        for rank in range(2):
            made += feed.send(_rank(rank), line("bad" if at + rank < 3 else "fine", float(at)))
    for rank in range(2):
        made += feed.send(_rank(rank), line("fine", 20.0))
    assert [(one.state, one.time[17:19], one.evidence.get("reason")) for one in made] == [
        ("firing", "01", None), ("resolved", "12", "quiet"),
    ]  # fmt: skip


def test_what_waits_is_bounded() -> None:
    """Beyond the limit the oldest is judged before its time, and that is counted."""
    engine, made = Engine(rules(WHOLE), max_waiting=50), 0
    for number in range(400):
        event = step(number, seq=number, at=number / 1000, loss=20.0)
        batch = Batch(VERSION, "run", Source("o", 0, number, number), [_rank(0)], [event])
        made += len(engine.process(batch))
    assert made == 1
    assert engine.counts.spilled > 300
    assert len(engine.snapshot()) < 60_000


def test_spans_wait_for_the_lateness() -> None:
    """They come in no order, so that a rank was heard beyond them says nothing."""
    feed = Feed(rules(rule("when: duration > 2 * peers.median(duration)", name="far", on="checkpoint.save")))
    made = []
    for rank, took in enumerate((1.0, 9.0)):
        span = Event("checkpoint.save", 0, values={"duration": took}, end=int((10 + rank) * SECOND))
        made += feed.send(_rank(rank), span)
    for number in range(12, 20):
        assert made == [] or number > 15
        for rank in range(2):
            made += feed.send(_rank(rank), step(number, seq=number - 12, loss=1.0))
    assert story(made) == [("far", "firing", 1, None, None)]
