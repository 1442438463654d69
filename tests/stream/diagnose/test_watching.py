"""What a watcher is told, and that watching changes nothing."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings

from stream.diagnose import verdicts
from stream.diagnose.engine import Engine
from stream.diagnose.verdicts import Fill, Verdict
from stream.events import Event
from tests.stream.diagnose.stories import SECOND, Feed, ended, line, resource, rule, rules, run, step
from tests.stream.diagnose.streams import ACTIONS, OF_EVERY_KIND, Action, encoded, stream


@settings(max_examples=60)
@given(ACTIONS)
def test_watching_changes_nothing(actions: list[Action]) -> None:
    """A watched engine judges every sample in full, an unwatched one takes a short way: they agree."""
    messages = stream(actions)
    heard: list[Verdict] = []
    watched = Engine(OF_EVERY_KIND, watch=heard.append)
    made = [one for message in messages for one in watched.process(message)]
    assert encoded(made) == encoded(run(OF_EVERY_KIND, messages))


def _watched(*texts: str) -> tuple[Feed, list[Verdict]]:
    heard: list[Verdict] = []
    return Feed(rules(*texts), watch=heard.append), heard


def test_every_outcome_of_a_sample() -> None:
    """No sample, no match, pending, inhibited, firing, still firing, resolved: each with its reason."""
    feed, heard = _watched(
        rule("when: grad_norm > 10", name="cause"),
        rule(
            "where: step > 1\nlet: {usual: 'median(loss, last=5)'}\nwhen: loss > 3 * usual\nfor: 2\n"
            "learn: calm\nkeep_firing: 2s\ninhibited_by: [cause]"
        ),
    )
    steps = [
        step(0, grad_norm=1.0), step(1, loss=1.0), step(2, loss="text"), step(3, loss=1.0),
        step(4, loss=9.0), step(5, loss=9.0, grad_norm=99.0), step(6, loss=9.0, grad_norm=1.0),
        step(7, loss=9.0), step(8, loss=1.0), step(9, loss=1.0),
    ]  # fmt: skip
    feed.send(resource(), *steps)
    mine = [one for one in heard if one.rule == "large"]
    assert [(one.event.step if one.event else None, one.outcome, one.detail) for one in mine] == [
        (0, verdicts.MISSING, "loss"), (1, verdicts.WHERE, ""), (2, verdicts.MISSING, "loss"),
        (3, verdicts.NO_MATCH, ""), (4, verdicts.PENDING, ""), (5, verdicts.INHIBITED, "cause"),
        (6, verdicts.FIRING, ""), (7, verdicts.STILL, ""), (8, verdicts.STILL, ""),
        (9, verdicts.RESOLVED, "cleared"),
    ]  # fmt: skip
    pending = mine[4]
    assert (pending.matches, pending.values, pending.windows) == (
        1, {"loss": 9.0, "usual": 1.0}, (Fill(1, 5, None),),
    )  # fmt: skip
    assert (mine[5].matches, mine[5].for_s) == (2, 1.0)


def test_what_ends_by_other_means() -> None:
    """The clock, the end of a process and of an attempt are told with their reason, without an event."""
    feed, heard = _watched(
        rule("match: [memory]\nkeep_firing: 10s", name="memory", on="train.log"), rule("when: loss > 10")
    )
    feed.send(resource(0), line("no memory"), line("fine"), step(0, loss=20.0))
    feed.tick(30)
    feed.send(resource(0), ended(40.0))
    feed.send(resource(1), step(1, loss=20.0))
    feed.send(resource(1, attempt=1), step(2, loss=1.0))
    told = [(one.rule, one.outcome, one.detail, one.event is None) for one in heard]
    assert ("memory", verdicts.UNMATCHED, "", False) in told
    assert [one for one in told if one[3]] == [
        ("memory", verdicts.RESOLVED, "quiet", True),
        ("large", verdicts.RESOLVED, "ended", True),
        ("large", verdicts.RESOLVED, "ended", True),
    ]


def test_a_series_too_many_is_told() -> None:
    """Over the limit a rule on a run is not judged, and a watcher hears it."""
    heard: list[Verdict] = []
    one = rule("match: ['(?P<word>[a-z]+)']\nkeep_firing: 1s\nby: [run, rank, word]", on="train.log")
    feed = Feed(rules(one), watch=heard.append, max_series=1)
    feed.send(resource(), line("one"), line("two"))
    assert [verdict.outcome for verdict in heard] == [verdicts.FIRING, verdicts.REFUSED]


def test_an_absence_is_told() -> None:
    """Each heartbeat says how long the clock has run, and what came of it."""
    absent = '- id: hang\n  category: hang\n  summary: "x"\n  absent: {of: train.step, for: 60s}'
    feed, heard = _watched(absent)
    beats = [Event("train.heartbeat", at * 10**9, step=1) for at in (31, 91)]
    feed.send(resource(), step(0, loss=1.0), step(1, loss=1.0), *beats, step(92, loss=1.0))
    assert [(one.outcome, one.detail, one.for_s) for one in heard] == [
        (verdicts.NO_MATCH, "", 30.0), (verdicts.FIRING, "", 60.0), (verdicts.RESOLVED, "returned", 0.0),
    ]  # fmt: skip


_CAUSE = rule("when: grad_norm > 10", name="cause")
_SYMPTOM = rule("when: loss > 10\ninhibited_by: [cause]", name="symptom")
_SLOWER = rule("when: step_time > 2 * peers.median(step_time)", name="slower")


def _told(heard: list[Verdict], name: str) -> list[tuple[int | None, int | None, str, str]]:
    """The verdicts on one rule's samples: rank, step, outcome, detail."""
    return [
        (
            one.resource.rank if one.resource else None,
            one.event.step if one.event else None,
            one.outcome,
            one.detail,
        )
        for one in heard
        if one.rule == name and one.outcome != verdicts.MISSING
    ]


def _pair(*texts: str, **settings: float) -> tuple[Feed, list[Verdict]]:
    heard: list[Verdict] = []
    return Feed(rules(*texts), watch=heard.append, **settings), heard


def _say(feed: Feed, rank: int, number: int, at: float | None = None, **values: Any) -> None:
    feed.send(resource(rank, world_size=2), step(number, at=at, **values))


def test_what_was_held_is_told_when_it_is_decided() -> None:
    """First that it waits for the other rank, then by which cause it is kept quiet, or that it fires."""
    feed, heard = _pair(_CAUSE, _SYMPTOM)
    _say(feed, 1, 1, loss=20.0)
    assert _told(heard, "symptom") == [(1, 1, verdicts.HELD, "")]
    _say(feed, 0, 1, grad_norm=20.0)
    _say(feed, 1, 2, loss=30.0)
    _say(feed, 0, 3, grad_norm=1.0)
    feed.engine.drain()
    assert _told(heard, "symptom") == [
        (1, 1, verdicts.HELD, ""), (1, 2, verdicts.HELD, ""),
        (1, 1, verdicts.INHIBITED, "cause"), (1, 2, verdicts.INHIBITED, "cause"),
        (1, 2, verdicts.FIRING, verdicts.FREED),
    ]  # fmt: skip
    assert heard[-1].values == {"loss": 30.0}


def test_what_was_held_without_a_cause_fires_at_its_sample() -> None:
    """And the samples after it were those of a diagnosis that was said."""
    feed, heard = _pair(_CAUSE, _SYMPTOM)
    _say(feed, 1, 1, loss=20.0)
    _say(feed, 1, 2, loss=30.0)
    _say(feed, 0, 4, grad_norm=1.0)
    feed.engine.drain()
    assert _told(heard, "symptom")[2:] == [(1, 1, verdicts.FIRING, ""), (1, 2, verdicts.STILL, "")]


def test_a_symptom_alone_in_its_run_is_told_when_its_cause_ends() -> None:
    """By another event than its own: at a step that lacks the symptom's field."""
    feed, heard = _pair(_CAUSE, _SYMPTOM)
    feed.send(resource(), step(1, loss=20.0, grad_norm=20.0), step(2, grad_norm=1.0))
    assert [(one[1], *one[2:]) for one in _told(heard, "symptom")] == [
        (1, verdicts.INHIBITED, "cause"), (1, verdicts.FIRING, verdicts.FREED),
    ]  # fmt: skip


def test_an_absence_that_others_excuse_is_told() -> None:
    """It is held until what the other rank did before that moment is known: that was away, so no hang."""
    absent = (
        '- id: hang\n  category: hang\n  summary: "x"\n  absent: {of: train.step, for: 60s, phases: [train]}'
    )
    feed, heard = _pair(absent)
    for number in range(3):
        for rank in range(2):
            _say(feed, rank, number, loss=1.0)
    beats = [(rank, at, "train") for at in range(5, 60, 5) for rank in range(2)]
    for rank, at, phase in [*beats, (1, 63, "train"), (0, 58, "checkpoint"), (0, 61, "train")]:
        values: dict[str, float | int | bool | str | None] = {"train.phase": phase}
        feed.send(resource(rank, world_size=2), Event("train.heartbeat", at * SECOND, step=2, values=values))
    feed.engine.drain()
    assert [one[2] for one in _told(heard, "hang") if one[2] != verdicts.NO_MATCH] == [
        verdicts.HELD, verdicts.EXCUSED,
    ]  # fmt: skip


def test_what_comes_after_its_turn_is_told() -> None:
    """A step that others have gone beyond, to rules across ranks alone; one behind a gap, to all rules."""
    feed, heard = _pair(_SLOWER, rule("when: step_time > 5", name="own"))
    _say(feed, 0, 0, step_time=1.0)
    for number in range(1, 4):
        _say(feed, 1, number, at=10.0 * number, step_time=1.0)
    _say(feed, 0, 1, step_time=9.0)
    assert _told(heard, "slower")[-1] == (0, 1, verdicts.LATE, "")
    assert _told(heard, "own")[-1] == (0, 1, verdicts.FIRING, "")


def test_what_comes_after_its_gap_was_given_up_is_told() -> None:
    """The clock went on for longer than a gap is waited for; a duplicate is nothing to tell."""
    feed, heard = _pair(rule("when: loss > 10"))
    feed.send(resource(), step(0, seq=0, loss=1.0), step(2, seq=2, loss=1.0))
    feed.tick(1)
    feed.tick(60)
    feed.send(resource(), step(1, seq=1, loss=20.0), step(2, seq=2, loss=20.0))
    assert _told(heard, "large") == [
        (0, 0, verdicts.NO_MATCH, ""), (0, 2, verdicts.NO_MATCH, ""), (0, 1, verdicts.LATE, ""),
    ]  # fmt: skip


def test_a_rule_without_a_series_is_told_at_each_event() -> None:
    """The run has as many as it may have."""
    feed, heard = _pair(rule("when: loss > 10"), rule("when: loss > 5", name="more"), max_series=1)
    feed.send(resource(), step(1, loss=20.0), step(2, loss=1.0))
    assert [one[2] for one in _told(heard, "large")] == [verdicts.FIRING, verdicts.RESOLVED]
    assert [one[2] for one in _told(heard, "more")] == [verdicts.REFUSED, verdicts.REFUSED]
