"""What a watcher is told, and that watching changes nothing."""

from __future__ import annotations

from hypothesis import given, settings

from stream.diagnose import verdicts
from stream.diagnose.engine import Engine
from stream.diagnose.verdicts import Fill, Verdict
from stream.events import Event
from tests.stream.diagnose.stories import Feed, ended, line, resource, rule, rules, run, step
from tests.stream.diagnose.streams import ACTIONS, OF_EVERY_KIND, Action, encoded, stream


@settings(deadline=None, max_examples=60)
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
