"""Order by train.seq: gaps, duplicates, declared losses, grace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emitter.vocabulary import events as words
from stream.diagnose.ordering import MAX_HELD, SeqOrder
from stream.events import Event
from tests.stream.diagnose.stories import LARGE, Feed, resource, rule, rules, step

THREE = f"{LARGE}\nfor: 3"


def _step(number: int) -> Event:
    return step(number, seq=number, loss=20.0)


def test_a_gap_is_held_until_it_is_filled() -> None:
    """Events behind a gap wait, and are judged in order."""
    feed = Feed(rules(rule(THREE)))
    assert feed.send(resource(), _step(0), _step(2), _step(3)) == []
    made = feed.send(resource(), _step(1))
    assert [one.step for one in made] == [2]


def test_duplicates_count_once() -> None:
    """A resend under a new offset changes nothing."""
    feed = Feed(rules(rule(THREE)))
    assert feed.send(resource(), _step(0), _step(0), _step(1), _step(1)) == []
    assert [one.step for one in feed.send(resource(), _step(0), _step(2))] == [2]
    assert feed.engine.counts.duplicates == 3


def test_a_gap_is_given_up_after_the_grace() -> None:
    """By the ticks' clock from when the event behind it was read; what comes later is late."""
    feed = Feed(rules(rule(THREE)), grace_s=5.0)
    feed.tick(100)
    assert feed.send(resource(), _step(0), _step(2), _step(3)) == []
    assert feed.tick(104.9) == []
    assert [one.step for one in feed.tick(105)] == [3]
    assert feed.send(resource(), _step(1)) == []
    assert (feed.engine.counts.lost, feed.engine.counts.late) == (1, 1)


def test_the_grace_begins_with_the_first_tick_where_there_was_no_clock() -> None:
    """Before any tick nothing is given up."""
    feed = Feed(rules(rule(LARGE)), grace_s=5.0)
    assert feed.send(resource(), _step(3)) == []
    assert feed.tick(1000) == []
    assert [one.step for one in feed.tick(1005)] == [3]


def test_a_later_gap_has_a_grace_of_its_own() -> None:
    """Giving up one gap does not give up a younger one."""
    feed = Feed(rules(rule(THREE)), grace_s=5.0)
    feed.tick(100)
    feed.send(resource(), _step(0), _step(2))
    feed.tick(103)
    feed.send(resource(), _step(4))
    assert feed.tick(105) == []
    assert [one.step for one in feed.send(resource(), _step(3))] == [3]


def test_a_loss_the_emitter_declares_is_not_waited_for() -> None:
    """The report that counts the lost records closes the gap at once."""
    feed = Feed(rules(rule(THREE)))
    report = Event(words.EMITTER_REPORT, 0, seq=5, values={"lost.queue_full": 2})
    assert feed.send(resource(), _step(0), _step(3), _step(4)) == []
    assert [one.step for one in feed.send(resource(), report)] == [4]
    assert feed.engine.counts.lost == 2


def test_a_report_that_explains_less_closes_nothing() -> None:
    """Fewer declared than missing: the rest may still come."""
    feed = Feed(rules(rule(THREE)))
    report = Event(words.EMITTER_REPORT, 0, seq=5, values={"lost.queue_full": 1})
    assert feed.send(resource(), _step(0), _step(3), _step(4), report) == []
    assert [one.step for one in feed.send(resource(), _step(1), _step(2))] == [2]


def test_what_is_held_is_bounded() -> None:
    """One event too many behind a gap gives the gap up."""
    feed = Feed(rules(rule(LARGE)))
    held = [step(n, seq=n, loss=1.0) for n in range(2, MAX_HELD + 2)]
    assert feed.send(resource(), *held) == []
    assert feed.engine.counts.lost == 0
    feed.send(resource(), step(0, seq=MAX_HELD + 2, loss=1.0))
    assert feed.engine.counts.lost == 2


def test_events_without_a_number_do_not_wait() -> None:
    """Spans and foreign sources count in order of arrival."""
    feed = Feed(rules(rule(LARGE)))
    assert feed.send(resource(), _step(5)) == []
    assert [one.step for one in feed.send(resource(), step(9, loss=20.0))] == [9]


def test_what_an_ended_attempt_still_held_is_gone() -> None:
    """Nothing of attempt n fires in n+1."""
    feed = Feed(rules(rule(LARGE)), grace_s=5.0)
    feed.tick(0)
    feed.send(resource(attempt=0), _step(3))
    feed.send(resource(attempt=1), step(0, seq=0, loss=1.0))
    assert feed.tick(60) == []


@given(st.permutations(range(12)), st.lists(st.integers(0, 11), max_size=5))
def test_any_order_becomes_the_order(order: list[int], again: list[int]) -> None:
    """Whatever the order of arrival, with repeats, the events come out once each and in order."""
    queue = SeqOrder()
    out: list[int | None] = []
    for number in [*order, *again]:
        if queue.refused(number) is None:
            out.extend(event.seq for event in queue.take(_step(number), number, None))
    assert out == list(range(12))
    assert not queue.held


@pytest.mark.parametrize("grace", [0, 1])
def test_release_leaves_nothing_behind(grace: int) -> None:
    """After the grace every held event has come out, in order."""
    queue = SeqOrder()
    out: list[Event] = []
    for number in (9, 3, 6):
        out.extend(queue.take(_step(number), number, 0))
    out.extend(queue.release(5, grace))
    assert [event.seq for event in out] == [3, 6, 9]
    assert queue.lost == 7
