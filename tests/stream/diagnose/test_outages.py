"""What must not matter where ranks meet: outages of the gateway, and partitions read at different speeds."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from emitter.vocabulary.diagnoses import Diagnosis
from stream.diagnose.engine import Engine
from stream.events import Batch, Tick
from stream.rulelang.model import RuleSet
from tests.stream.diagnose.crowds import (
    ACTIONS,
    DELAYS,
    GRACE,
    RANKS,
    Action,
    arrivals,
    outage,
    partitions,
    records,
)
from tests.stream.diagnose.stories import rule, rules, story
from tests.stream.diagnose.test_invariance import RULES, SETS, SPARSE, same

BEGINS = st.floats(1.0, 60.0)
LASTS = st.floats(0.0, 180.0)
ORDERS = st.permutations(range(RANKS))
APART = st.floats(0.0, GRACE / RANKS)
TURNS = st.lists(st.integers(1, 400), min_size=1, max_size=9)


def told(ruleset: RuleSet, messages: Iterable[Batch | Tick]) -> list[Diagnosis]:
    """All transitions of a fresh engine."""
    engine = Engine(ruleset)
    made = [one for message in messages for one in engine.process(message)]
    return made + engine.drain()


@RULES
@settings(max_examples=40)
@given(ACTIONS, DELAYS, DELAYS, BEGINS, LASTS, ORDERS, APART)
def test_an_outage_of_the_gateway_does_not_matter(
    name: str, actions: list[Action], one: list[int], other: list[int], begins: float, lasts: float,
    order: list[int], apart: float,
) -> None:  # fmt: skip
    """Minutes of all ranks that come afterwards, rank after rank: the diagnoses of an undisturbed run."""
    found = records(actions)
    disturbed = outage(found, other, begins, lasts, order, apart)
    same(told(SETS[name], arrivals(found, one, SPARSE)), told(SETS[name], disturbed))


@RULES
@settings(max_examples=40)
@given(ACTIONS, DELAYS, DELAYS, TURNS)
def test_partitions_may_be_read_at_any_speed(
    name: str, actions: list[Action], one: list[int], other: list[int], turns: list[int]
) -> None:
    """Minutes of one rank before the first record of another, as when a worker catches up."""
    found = records(actions)
    same(told(SETS[name], arrivals(found, one, SPARSE)), told(SETS[name], partitions(found, other, turns)))


@RULES
@settings(max_examples=20)
@given(ACTIONS, DELAYS, BEGINS, LASTS, ORDERS, APART, st.data())
def test_a_snapshot_in_an_outage_does_not_matter(
    name: str, actions: list[Action], delays: list[int], begins: float, lasts: float, order: list[int],
    apart: float, data: st.DataObject,
) -> None:  # fmt: skip
    """Two engines with a snapshot between them say what one says, to the byte and in the same order."""
    messages = outage(records(actions), delays, begins, lasts, order, apart)
    cut = data.draw(st.integers(0, len(messages)))
    begun = Engine(SETS[name])
    made = [one for message in messages[:cut] for one in begun.process(message)]
    other = Engine.restore(SETS[name], begun.snapshot())
    assert other.snapshot() == begun.snapshot()
    made += [one for message in messages[cut:] for one in other.process(message)]
    made += other.drain()
    assert [one.encode() for one in made] == [one.encode() for one in told(SETS[name], messages)]


def test_a_straggler_in_an_outage_is_found() -> None:
    """A hundred steps of each of three ranks, twenty of them slow on one, in two minutes that came late."""
    slow = rules(rule("when: step_time > 2 * peers.median(step_time)\nfor: 5", name="slow"))
    actions: list[Action] = [
        (rank, "step", 1.0, 9.0 if rank == 1 and 40 <= number < 60 else 1.0, 1000 if rank == 0 else 0)
        for number in range(100)
        for rank in range(RANKS)
    ]
    found = records(actions)
    made = told(slow, outage(found, [100_000_000], 20.0, 100.0, [2, 0, 1], 4.0))
    assert story(made)[:2] == [
        ("slow", "firing", 1, 44, None), ("slow", "resolved", 1, 60, "cleared"),
    ]  # fmt: skip
    assert len(made) == 2
