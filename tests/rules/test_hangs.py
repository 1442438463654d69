"""Hangs: what the shipped rules make of legal long phases, and how soon they tell of ranks that stopped.

The records are those of the emitter's own sessions, with its heartbeats, on clocks that are moved by hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rules.scenes import (
    LEGAL,
    SCENES,
    after_one_saved,
    alone,
    crew,
    evaluate,
    pausing,
    saving,
    together,
    with_slow_steps,
)
from tests.rules.trainers import RULES, Told, Trainer, told

HANG = RULES.only(frozenset({"train-stalled", "train-stalled-start", "checkpoint-hung", "no-heartbeat"}))
FLOOR_S = 300.0
TIMES = 2.5
SLACK_S = 45.0
"""What telling may take beyond the limit: a heartbeat, the lateness, a tick, and the sender's look."""


@pytest.mark.parametrize("world", [1, 4])
@pytest.mark.parametrize("scene", LEGAL, ids=lambda scene: scene.__name__)
def test_legal_long_phases_are_silent(scene: Callable[[list[Trainer]], None], world: int) -> None:
    """None of the rules of hangs fires, whatever the number of ranks."""
    ranks = crew(world)
    scene(ranks)
    assert [(one.at, one.made.rule, one.made.rank) for one in told(ranks, rules=HANG)] == []


@pytest.mark.parametrize("who", [{0}, {0, 1, 2, 3}], ids=["of one rank", "of all"])
def test_an_outage_of_telemetry_is_silent(who: set[int]) -> None:
    """Records and beacons come twenty minutes late: nothing is said, neither meanwhile nor when they come."""
    ranks = crew(4)
    together(ranks, *[2.0] * 900)

    def delay(rank: int, at: float) -> float:
        return max(0.0, 1500 - at) if rank in who and at > 300 else 0.0

    silent = {f"gateway-{rank}": (300.0, 1500.0) for rank in who}
    assert told(ranks, rules=HANG, delay=delay, silent=silent) == []


def test_lost_records_are_no_hang() -> None:
    """While the queue is full steps are lost, and heartbeats that speak of later steps are not."""
    (one,) = ranks = crew(1)
    together(ranks, *[1.0] * 30)
    queue = one.session.queue
    queue.limit = 0
    together(ranks, *[1.0] * 900)
    queue.limit = 16384
    together(ranks, *[1.0] * 30)
    assert told(ranks, rules=HANG) == []


@pytest.mark.parametrize("world", [1, 4])
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_a_hang_fires_once_on_each_rank_and_in_time(
    scene: Callable[[list[Trainer]], list[Trainer]], world: int
) -> None:
    """As of 5 minutes or 2.5 times the slowest recent step; told a heartbeat later, within 3 times it."""
    ranks = crew(world)
    hung = scene(ranks)
    slowest = 300.0 if scene is with_slow_steps else 1.0
    for one in hung:
        one.wait(1500)
    found = told(list({id(one): one for one in [*ranks, *hung]}.values()), rules=HANG)
    stalls = [one for one in found if one.made.rule == "train-stalled" and one.made.state == "firing"]
    assert sorted(one.made.rank or 0 for one in stalls) == list(range(world))
    for stall in stalls:
        in_time(stall, hung[stall.made.rank or 0].progress, slowest)


def in_time(one: Told, stopped: float, slowest: float) -> None:
    """What holds of every hang that is told."""
    limit = max(FLOOR_S, TIMES * slowest)
    assert one.time == pytest.approx(stopped + limit, abs=1.5)
    assert one.at <= stopped + max(3 * slowest, FLOOR_S + SLACK_S)


def test_one_rank_of_many_whose_others_go_on() -> None:
    """Where ranks need not meet, the one that stands is told and no other."""
    ranks = crew(4)
    together(ranks, *[1.0] * 60)
    for one in ranks[:3]:
        for _ in range(900):
            one.step(1.0)
    ranks[3].wait(900)
    found = told(ranks, rules=HANG)
    assert [(one.made.rule, one.made.state, one.made.rank) for one in found] == [
        ("train-stalled", "firing", 3)
    ]
    in_time(found[0], 60.0, 1.0)


def test_a_hang_that_ends_resolves() -> None:
    """With the next step; and what was asked for is asked once."""
    (one,) = ranks = crew(1)
    together(ranks, *[1.0] * 60)
    one.wait(700)
    one.step(1.0)
    one.step(1.0)
    found = told(ranks, rules=HANG)
    assert [(each.made.state, each.made.evidence.get("reason")) for each in found] == [
        ("firing", None), ("resolved", "returned"),
    ]  # fmt: skip
    assert found[0].made.then == ["dump_stacks", "notify"]


def test_an_open_save_across_five_restarts() -> None:
    """The shipped rules say nothing: neither of the save that never ended nor of the steps between."""
    lives: list[Trainer] = []
    for attempt in range(6):
        begin = lives[-1].now + 60 if lives else 0.0
        one = Trainer(attempt=attempt, begin=begin)
        lives.append(one)
        together([one], *[2.0] * 100)
        if attempt == 0:
            one.session.checkpoint(None, "c", "regular").__enter__()
            one.wait(120)
    lives[-1].wait(200)
    together(lives[-1:], *[2.0] * 1200)
    assert [one.made.rule for one in told(lives, rules=HANG)] == []


def test_a_save_that_hangs_is_told_by_its_own_rule() -> None:
    """Half an hour after it began, on the rank that saves; those that wait for it are not taken for hung."""
    ranks = crew(4)
    together(ranks, *[1.0] * 60)
    for one in ranks:
        if one.rank == 0:
            one.session.checkpoint(None, "c", "regular").__enter__()
        one.wait(2400)
    found = told(ranks, rules=HANG)
    assert [(one.made.rule, one.made.rank) for one in found] == [("checkpoint-hung", 0)]
    assert found[0].time == pytest.approx(60 + 1800, abs=1)
    assert found[0].at <= 60 + 1800 + 10 + SLACK_S


def test_a_rank_that_died_while_it_saved_is_no_excuse_for_ever() -> None:
    """It is missed by its heartbeats; two minutes after the last of them the others' clocks run."""
    ranks = crew(3)
    together(ranks, *[1.0] * 60)
    ranks[0].session.checkpoint(None, "c", "regular").__enter__()
    ranks[0].wait(100)
    for one in ranks[1:]:
        one.wait(1000)
    found = told(ranks, rules=HANG)
    assert sorted((one.made.rule, one.made.rank) for one in found) == [
        ("no-heartbeat", 0), ("train-stalled", 1), ("train-stalled", 2),
    ]  # fmt: skip
    assert all(one.time <= 160 + 120 + FLOOR_S + 1 for one in found)


@settings(max_examples=25)
@given(data=st.data())
def test_any_hang_is_told_in_time(data: Any) -> None:
    """Step times of all sizes, heartbeats at any offset, in training or in the loading of data."""
    scale = data.draw(st.sampled_from([0.3, 3.0, 40.0, 110.0, 130.0, 400.0]))
    factors = data.draw(st.lists(st.floats(0.5, 1.0), min_size=3, max_size=12))
    world = data.draw(st.sampled_from([1, 3]))
    ranks = crew(world)
    offsets = [data.draw(st.floats(0, 30)) for _ in ranks]
    for one, offset in zip(ranks, offsets, strict=True):
        one.session._beat_ns -= int(offset * 1e9)
        for factor in factors:
            one.step(scale * factor)
        if data.draw(st.booleans()):
            one.session.phase("data").__enter__()
        one.wait(max(3 * scale, FLOOR_S) + 120)
    slowest = scale * max(factors[1:])
    stalls = [one for one in told(ranks, rules=HANG) if one.made.rule == "train-stalled"]
    assert sorted(one.made.rank or 0 for one in stalls) == list(range(world))
    for stall in stalls:
        stopped = ranks[stall.made.rank or 0].progress
        assert stall.time == pytest.approx(stopped + max(FLOOR_S, TIMES * slowest), abs=1.1)
        assert stall.at <= stopped + max(3 * slowest, FLOOR_S + SLACK_S)


ACTS = st.sampled_from(["steps", "evaluate", "save", "pause", "evaluate alone", "save alone", "pause alone"])


@settings(max_examples=25)
@given(
    acts=st.lists(st.tuples(ACTS, st.floats(1, 1500)), min_size=3, max_size=7),
    world=st.sampled_from([1, 3]),
    step_s=st.sampled_from([0.5, 20.0, 90.0]),
)
def test_any_legal_story_is_silent(acts: list[tuple[str, float]], world: int, step_s: float) -> None:
    """Whatever is evaluated, saved and paused, by all or by one, for however long, in whatever order."""
    ranks = crew(world)
    together(ranks, *[step_s] * 10)
    for act, seconds in acts:
        what = {"evaluate": evaluate(seconds), "save": saving(seconds), "pause": pausing(seconds)}
        kind = act.split()[0]
        if kind == "steps":
            together(ranks, *[step_s] * math.ceil(min(seconds, 300) / step_s))
        elif act.endswith("alone"):
            alone(ranks, what[kind])
            together(ranks, step_s)
        else:
            for one in ranks:
                what[kind](one)
    found = told(ranks, rules=HANG)
    assert [(one.at, one.made.rule, one.made.rank) for one in found] == []


@settings(max_examples=15)
@given(lags=st.lists(st.floats(0, 4.9), min_size=3, max_size=3), swing=st.floats(0, 4.9))
def test_lateness_of_ranks_changes_nothing(lags: list[float], swing: float) -> None:
    """A hang after a save by one rank: identical diagnoses, however late each rank's records are read."""
    ranks = crew(3)
    after_one_saved(ranks)
    for one in ranks:
        one.wait(500)

    def delay(rank: int, at: float) -> float:
        return min(4.9, lags[rank] + (swing if int(at) % 7 == rank else 0.0))

    prompt = [one.made for one in told(ranks, rules=HANG)]
    assert len(prompt) == 3
    late = [one.made for one in told(ranks, rules=HANG, delay=delay)]
    assert sorted(late, key=repr) == sorted(prompt, key=repr)
