"""Ticks look at the runs to which time may matter, and at no others; nothing else is decided for that."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emitter.vocabulary import commands
from stream.remediate import arbiter as arbiters
from stream.remediate import reports
from stream.remediate.arbiter import Arbiter
from stream.remediate.settings import Breaker
from stream.remediate.state import FORGET_SILENT_S
from tests.stream.remediate.scenes import RULE_SET, START_NS, Scene, log_record

RULES = tuple(rule.id for rule in RULE_SET.rules)
RUNS = ("run-1", "run-2", "run-3")
STATES = (commands.RECEIVED, commands.SCHEDULED, commands.RUNNING, commands.SUCCEEDED, commands.FAILED)
KINDS = ("fire", "fire", "resolve", "ack", "tick", "tick", "tick", "life", "say")
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(KINDS), st.integers(0, 99), st.sampled_from((0, 1, 9, 31, 299, 601, 1801, 3601))
    ),
    max_size=40,
)


class Play:
    """Actions by chance, as a log that two arbiters read."""

    def __init__(self, mode: str) -> None:
        self.scene = Scene(mode, breaker=Breaker(2, 300.0))
        self.at_s = 0.0

    def act(self, kind: str, number: int, later_s: int) -> None:
        scene, run = self.scene, RUNS[number % 3]
        rule = RULES[number % len(RULES)]
        if kind == "tick":
            self.at_s += later_s
            scene.tick(self.at_s)
        elif kind == "fire":
            scene.fire(rule, at_s=self.at_s - number % 7, run=run, id=f"{run}/{rule}/{number % 5}")
        elif kind == "resolve":
            scene.resolve(rule, at_s=self.at_s, run=run, id=f"{run}/{rule}/{number % 5}")
        elif kind == "ack" and scene.sent:
            scene.ack(scene.sent[number % len(scene.sent)], STATES[number % 5], rank=0)
        elif kind == "life":
            state = ("started", "finished", "failed")[number % 3]
            scene.lifecycle(state, run=run, rank=0, attempt=number // 40, world_size=1)
        elif kind == "say":
            held = [d.command for d in scene.made if d.decision == "held" and d.command is not None]
            if number % 3 == 0 and held:
                scene.say("approve", command=held[-1].id)
            elif number % 3 == 1:
                scene.silence(self.at_s + 400, rule=rule)
            else:
                scene.say("reset_breaker")


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(("act", "approve")), ACTIONS)
def test_who_looks_at_every_run_at_each_tick_decides_the_same(mode: str, actions: list[Any]) -> None:
    """To the byte and in the same order, over everything that can happen to three runs."""
    play = Play(mode)
    for action in actions:
        play.act(*action)
    for later_s in (31, 299, 601, 1801, 3601):
        play.act("tick", 0, later_s)
    anxious = Arbiter(play.scene.settings)
    made = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arbiters, "wakes_ns", lambda *_: 0)
        for report in play.scene.log:
            back = reports.decode(log_record(report))
            assert back is not None
            made += anxious.take(back)
    assert made == play.scene.all


def test_runs_that_stay_open_are_left_alone() -> None:
    """Of a hundred open runs a tick looks at none, until a limit of one passes."""
    scene = Scene("approve")
    for number in range(100):
        scene.fire(at_s=1, run=f"run-{number}", id=f"d{number}")
    scene.tick(2)
    looked: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arbiters, "retry", lambda turn, run: looked.append(run.id))
        scene.tick(3)
        assert looked == []
        scene.resolve(at_s=3, run="run-7", id="d7")
        scene.tick(4)
        assert looked == ["run-7"]


def test_a_command_for_what_is_long_past_is_not_sent() -> None:
    """Read half an hour late: the diagnosis opens its incident, the ledger says why nothing was done."""
    scene = Scene("act")
    scene.wall_ns = START_NS + 1800 * 10**9
    made = scene.fire(at_s=1)
    assert [(d.decision, d.action) for d in made][:2] == [("opened", None), ("expired", "save")]
    assert made[1].reason == "it was too old before it could be sent"
    scene.tick(2)
    assert scene.sent == []


def test_a_clock_that_was_read_further_than_the_diagnosis_makes_it_no_younger() -> None:
    """The ticks of half an hour may be read before what was diagnosed at its beginning."""
    scene = Scene("act")
    scene.wall_ns = START_NS + 1800 * 10**9
    scene.tick(1799)
    made = scene.fire(at_s=1)
    assert [(d.decision, d.action) for d in made][:2] == [("opened", None), ("expired", "save")]
    assert scene.sent == []


@pytest.mark.parametrize(("late_s", "sent"), [(599.0, 1), (601.0, 0)])
def test_a_command_is_sent_while_it_is_worth_obeying(late_s: float, sent: int) -> None:
    """By the wall clock of who wrote the report, ten minutes from the diagnosis."""
    scene = Scene("act")
    scene.wall_ns = START_NS + int(late_s * 1e9)
    scene.fire(at_s=0)
    assert len(scene.sent) == sent


def test_what_a_person_has_to_approve_is_withdrawn_once_the_log_says_that_it_is_over() -> None:
    """A worker that is behind holds it as it would have then; it goes as the log goes on."""
    scene = Scene("approve")
    scene.wall_ns = START_NS + 1800 * 10**9
    scene.fire("hung", at_s=1)
    scene.resolve("hung", at_s=1, id="hung-1")
    scene.tick(60)
    assert scene.story() == ["opened", "held restart", "withdrawn restart", "closed"]
    assert scene.sent == []


def test_thousands_of_short_runs_leave_nothing_behind() -> None:
    """Those that ended are forgotten after an hour, silent ones after two days, and who was acted on."""
    scene = Scene("act", breaker=Breaker(10_000, 300.0))
    for number in range(1_000):
        run = f"short-{number}"
        scene.lifecycle("started", run=run, rank=0, world_size=1, node=f"pod-{number}")
        scene.fire("best", at_s=number, run=run, id=run)
        if number % 2:
            scene.lifecycle("finished", run=run, rank=0, world_size=1, node=f"pod-{number}")
        if number % 50 == 0:
            scene.tick(number)
    state = scene.arbiter.state
    assert len(state.runs) == len(state.acted) == 1_000
    for later_s in (1_000, 4_700):
        scene.tick(later_s)
    assert len(state.runs) == len(state.acted) == len(state.hosts) == 500
    for more_s in (1_001, 1_002):
        scene.tick(FORGET_SILENT_S + more_s)
    assert (state.runs, state.acted, state.hosts, state.offsets) == ({}, {}, {}, {})
    closed = [d.reason for d in scene.made if d.decision == "closed"]
    assert closed.count("nothing was heard of the run for two days") == 500
