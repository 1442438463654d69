"""Causes on any rank keep their symptoms quiet, as of the symptom's own moment."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from emitter.vocabulary import events as words
from emitter.vocabulary.diagnoses import Diagnosis
from stream.diagnose.engine import Engine
from stream.events import Event, Resource
from stream.rulelang.model import RuleSet
from tests.stream.diagnose.stories import SECOND, Feed, ended, line, rule, rules, step, story

CAUSE = rule("when: grad_norm > 10", name="cause")
SYMPTOM = rule("when: loss > 10\ninhibited_by: [cause]", name="symptom")


def _rank(rank: int, world: int = 2, node: str | None = None) -> Resource:
    return Resource(run="run", rank=rank, world_size=world, emitter=f"e{rank}", node=node)


class Ranks(Feed):
    """A feed that numbers each rank's events and remembers what was made."""

    def __init__(self, ruleset: RuleSet) -> None:
        super().__init__(ruleset)
        self.seqs: dict[int, int] = {}
        self.made: list[Diagnosis] = []

    def say(self, rank: int, at: float, *, node: str | None = None, **values: float) -> list[Diagnosis]:
        """A step of this rank at this time."""
        return self.tell(rank, Event(words.STEP, int(at * SECOND), step=int(at), values={**values}), node)

    def tell(self, rank: int, event: Event, node: str | None = None) -> list[Diagnosis]:
        """Any event."""
        seq = self.seqs.get(rank, 0)
        self.seqs[rank] = seq + 1
        made = self.send(_rank(rank, node=node), msgspec.structs.replace(event, seq=seq))
        self.made += made
        return made

    def end(self) -> list[tuple[object, ...]]:
        """The whole story: rule, state, rank, second."""
        made = [*self.made, *self.engine.drain()]
        return [(one.rule, one.state, one.rank, one.time[17:19]) for one in made]


@pytest.mark.parametrize("cause_first", [True, False])
def test_a_cause_on_another_rank_counts_by_its_time(cause_first: bool) -> None:
    """Not by which record came first; at the same moment the cause counts."""
    feed = Ranks(rules(CAUSE, SYMPTOM))
    both: list[tuple[int, dict[str, Any]]] = [(0, {"grad_norm": 20.0}), (1, {"loss": 20.0})]
    for rank, values in both if cause_first else both[::-1]:
        feed.say(rank, 1.0, **values)
    for at in (2.0, 3.0):
        for rank in range(2):
            feed.say(rank, at, loss=1.0)
    assert feed.end() == [("cause", "firing", 0, "01")]


def test_a_later_cause_does_not_silence_what_was_before_it() -> None:
    """Even if it was read first."""
    feed = Ranks(rules(CAUSE, SYMPTOM))
    feed.say(0, 2.0, grad_norm=20.0)
    feed.say(1, 1.0, loss=20.0)
    assert feed.end() == [("cause", "firing", 0, "02"), ("symptom", "firing", 1, "01")]


def test_a_symptom_still_open_fires_when_its_last_cause_resolves() -> None:
    """At that moment, with what its latest sample said; the same diagnosis as if it had fired at once."""
    feed = Ranks(
        rules(CAUSE, rule("when: grad_norm < 0", name="other"), SYMPTOM.replace("[cause]", "[cause, other]"))
    )
    feed.say(0, 0.0, grad_norm=20.0)
    feed.say(1, 1.0, loss=20.0, grad_norm=-1.0)
    feed.say(1, 2.0, loss=30.0, grad_norm=-1.0)
    feed.say(0, 3.0, grad_norm=1.0)
    feed.say(1, 4.0, loss=40.0, grad_norm=1.0)
    feed.say(1, 6.0, loss=1.0)
    made = [*feed.made, *feed.engine.drain()]
    told = [one for one in made if one.rule == "symptom"]
    assert [(one.state, one.time[17:19], one.step) for one in told] == [
        ("firing", "04", 4),
        ("resolved", "06", 6),
    ]
    assert (told[0].evidence["loss"], told[0].evidence["since_step"]) == (40.0, 1)


def test_a_symptom_that_ends_with_its_cause_is_never_said() -> None:
    """Both end at the same moment, whichever of them was read first."""
    for order in ((0, 1), (1, 0)):
        feed = Ranks(rules(CAUSE, SYMPTOM))
        for at, values in ((0.0, {"grad_norm": 20.0}), (1.0, {"grad_norm": 20.0}), (2.0, {"grad_norm": 1.0})):
            for rank in order:
                own: dict[str, Any] = values if rank == 0 else {"loss": 20.0 if at < 2 else 1.0}
                feed.say(rank, at, **own)
        assert [one[:3] for one in feed.end()] == [("cause", "firing", 0), ("cause", "resolved", 0)]


def test_a_cause_that_is_gone_before_anybody_looks_still_counted() -> None:
    """A log rule resolves by itself; the symptom speaks when that happens, not when it is noticed."""
    memory = rule("match: [memory]\nkeep_firing: 4s", name="memory", on="train.log")
    feed = Ranks(rules(memory, rule("when: loss > 10\ninhibited_by: [memory]", name="symptom")))
    feed.tell(0, line("out of memory", 1.0))
    feed.say(1, 2.0, loss=20.0)
    for rank in (1, 0):
        feed.say(rank, 30.0, loss=20.0)
    assert feed.end() == [
        ("memory", "firing", 0, "01"), ("memory", "resolved", 0, "05"), ("symptom", "firing", 1, "05"),
        ("symptom", "firing", 0, "30"),
    ]  # fmt: skip


@pytest.mark.parametrize(("same", "quiet"), [("[node]", [0, 1]), ("[rank]", [0]), ("[run]", [0, 1, 2])])
def test_same_says_which_causes_count(same: str, quiet: list[int]) -> None:
    """Only those that agree in all of its fields."""
    feed = Ranks(rules(CAUSE, rule(f"when: loss > 10\ninhibited_by: [cause]\nsame: {same}", name="symptom")))
    for rank in range(3):
        feed.say(rank, 1.0, node=f"n{rank // 2}", loss=20.0, grad_norm=20.0 if rank == 0 else 1.0)
    told = feed.end()
    assert [one[2] for one in told if one[0] == "symptom"] == [rank for rank in range(3) if rank not in quiet]


def test_missing_equals_missing() -> None:
    """Who names no node is on the same one as others that name none."""
    feed = Ranks(rules(CAUSE, rule("when: loss > 10\ninhibited_by: [cause]\nsame: [node]", name="symptom")))
    feed.say(0, 1.0, grad_norm=20.0)
    feed.say(1, 1.0, loss=20.0)
    assert feed.end() == [("cause", "firing", 0, "01")]


def test_a_cause_kept_quiet_is_none() -> None:
    """Only what fires counts: a symptom's cause speaks first, and keeps the symptom quiet from then on."""
    middle = rule("when: loss > 10\ninhibited_by: [cause]", name="a-middle")
    last = rule("when: step_time > 10\ninhibited_by: [a-middle]", name="a-last")
    feed = Ranks(rules(last, middle, CAUSE))
    feed.say(0, 1.0, grad_norm=20.0, loss=20.0)
    feed.say(1, 2.0, step_time=20.0)
    feed.say(0, 3.0, grad_norm=1.0, loss=20.0)
    feed.say(1, 4.0, step_time=1.0)
    feed.say(1, 5.0, step_time=20.0)
    assert [one for one in feed.end() if one[0] != "cause"] == [
        ("a-last", "firing", 1, "02"), ("a-middle", "firing", 0, "03"), ("a-last", "resolved", 1, "04"),
    ]  # fmt: skip


def test_freed_together_the_cause_speaks_and_the_symptom_stays_quiet() -> None:
    """Both waited for the same third rule."""
    middle = rule("when: loss > 10\ninhibited_by: [cause]", name="a-middle")
    last = rule("when: step_time > 10\ninhibited_by: [a-middle, cause]", name="a-last")
    for world in (1, 2):
        feed = Feed(rules(last, middle, CAUSE))
        made = feed.send(_rank(0, world), step(0, seq=0, grad_norm=20.0, loss=20.0, step_time=20.0))
        made += feed.send(_rank(0, world), step(1, seq=1, at=1, grad_norm=1.0))
        made += feed.engine.drain()
        assert story(made) == [
            ("cause", "firing", 0, 0, None), ("cause", "resolved", 0, 1, "cleared"),
            ("a-middle", "firing", 0, 0, None),
        ]  # fmt: skip


def test_comparisons_of_a_step_may_be_causes_of_the_same_step() -> None:
    """Symptoms of that moment wait until the step has been gathered."""
    slow = rule("when: step_time > 2 * peers.median(step_time)", name="slow")
    feed = Ranks(rules(slow, rule("when: loss > 10\ninhibited_by: [slow]", name="symptom")))
    for number in range(4):
        feed.say(0, number, loss=20.0 if number == 1 else 1.0, step_time=9.0 if number == 1 else 1.0)
        feed.say(1, number, loss=20.0 if number == 1 else 1.0, step_time=1.0)
    told = feed.end()
    assert ("slow", "firing", 0, "01") in told
    assert [one for one in told if one[0] == "symptom"] == []


def test_rules_on_diagnosis_hear_all_ranks_in_the_order_of_time() -> None:
    """And may be causes themselves, at the same moment."""
    many = rule(
        "when: rule == 'cause' and state == 'firing' and count(1, over='10s') >= 1\nby: [run]",
        name="many", on="diagnosis",
    )  # fmt: skip
    feed = Ranks(rules(CAUSE, many, rule("when: loss > 10\ninhibited_by: [many]", name="symptom")))
    feed.say(1, 3.0, grad_norm=20.0, loss=20.0)
    feed.say(0, 1.0, grad_norm=20.0, loss=20.0)
    told = feed.end()
    assert [one for one in told if one[0] == "many"] == [("many", "firing", None, "03")]
    assert [one for one in told if one[0] == "symptom"] == [("symptom", "firing", 0, "01")]


def test_rules_without_causes_never_wait() -> None:
    """With any number of ranks they answer at once."""
    feed = Ranks(rules(CAUSE, SYMPTOM))
    assert story(feed.say(0, 1.0, grad_norm=20.0)) == [("cause", "firing", 0, 1, None)]
    assert feed.say(0, 2.0, loss=20.0) == []


def test_a_symptom_that_was_said_resolves_with_its_attempt() -> None:
    """One that still waits is not said any more."""
    feed = Ranks(rules(CAUSE, SYMPTOM))
    feed.say(0, 1.0, loss=20.0)
    feed.say(1, 9.0, loss=20.0)
    made = feed.send(
        Resource(run="run", rank=0, world_size=2, attempt=1, emitter="new"), step(0, seq=0, at=20, loss=1.0)
    )
    assert story([*feed.made, *made]) == [
        ("symptom", "firing", 0, 1, None),
        ("symptom", "resolved", 0, 1, "ended"),
    ]
    assert feed.engine.counts.fenced == 1


def test_a_cause_that_was_taken_away_frees_its_symptoms() -> None:
    """It resolves as `reloaded`, and what it kept quiet speaks."""
    feed = Ranks(rules(CAUSE, SYMPTOM))
    feed.say(0, 1.0, grad_norm=20.0)
    feed.say(1, 1.0, loss=20.0)
    feed.say(0, 9.0, grad_norm=20.0)
    changed = rules(rule("when: grad_norm > 11", name="cause"), SYMPTOM)
    restored = Engine.restore(changed, feed.engine.snapshot())
    told = [(one.rule, one.state) for one in restored.drain()]
    assert told == [("cause", "resolved"), ("symptom", "firing")]


def test_the_end_of_a_rank_ends_its_symptom_quietly() -> None:
    """What was never said does not resolve."""
    feed = Ranks(rules(CAUSE, SYMPTOM))
    feed.say(0, 1.0, grad_norm=20.0)
    feed.say(1, 2.0, loss=20.0)
    feed.tell(1, ended(3.0))
    feed.say(0, 4.0, grad_norm=1.0)
    assert feed.end() == [("cause", "firing", 0, "01"), ("cause", "resolved", 0, "04")]
