"""Incidents: their states, what belongs together, the cause, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emitter.vocabulary import commands, diagnoses
from stream.remediate import kinship
from stream.remediate.costs import Cost
from stream.remediate.incidents import MOVES, Incident, IncidentState
from stream.remediate.steps import STEP_MOVES, ForbiddenMoveError, Step, StepState
from tests.stream.remediate.scenes import Scene

FINAL = {IncidentState.RESOLVED, IncidentState.FAILED, IncidentState.ENDED}
ALLOWED = {
    # from: to
    "open": "waiting acting settling escalated failed ended",
    "waiting": "open acting settling escalated failed ended",
    "acting": "open waiting settling escalated failed ended",
    "escalated": "open waiting acting settling failed ended",
    "settling": "open waiting acting escalated resolved failed ended",
    "resolved": "",
    "failed": "",
    "ended": "",
}


@pytest.mark.parametrize(("one", "other"), list(product(IncidentState, IncidentState)))
def test_every_change_of_state_is_allowed_or_refused_by_the_table(
    one: IncidentState, other: IncidentState
) -> None:
    """All pairs; staying is no change."""
    incident = Incident("i", "r", 0, 0, state=one)
    if one is other:
        assert not incident.move(other, 1, "why")
    elif other.value in ALLOWED[one.value].split():
        assert incident.move(other, 1, "why")
        assert (incident.state, incident.changed, incident.timeline[-1]["kind"]) == (other, True, other.value)
        assert (incident.ended_ns == 1) == (other in FINAL)
    else:
        with pytest.raises(ForbiddenMoveError, match=f"cannot go from {one.value} to {other.value}"):
            incident.move(other, 1, "why")


def test_the_table_names_every_state() -> None:
    """And what ended goes nowhere."""
    assert set(MOVES) == set(IncidentState)
    assert {state for state in IncidentState if state.final} == FINAL
    assert {state for state in StepState if state.ended} == {
        StepState.DONE,
        StepState.FAILED,
        StepState.DROPPED,
    }


@pytest.mark.parametrize(("one", "other"), list(product(StepState, StepState)))
def test_every_change_of_an_action_is_allowed_or_refused_by_the_table(
    one: StepState, other: StepState
) -> None:
    """All pairs."""
    scene = Scene()
    scene.fire("told")
    assert scene.incident is not None
    step: Step = scene.incident.steps[0]
    step.state = one
    if other in STEP_MOVES[one]:
        step.move(other)
        assert step.state is other
    else:
        with pytest.raises(ForbiddenMoveError):
            step.move(other)


@dataclass(frozen=True)
class Relative:
    """What kinship looks at."""

    rule: str
    category: str
    began_ns: int = 0
    severity: str = "warning"
    inhibited_by: tuple[str, ...] = ()


CHAINS = [
    ["xid", "nccl_timeout", "process_exit"],
    ["disk_full", "checkpoint_error", "python_exception"],
    ["grad_explosion", "nan_loss", "loss_zero_collapse"],
    ["host_oom", "dataloader_crash", "data_stall"],
    ["network", "nccl_error", "hang"],
    ["node_loss", "unreachable", "restart_storm"],
]


@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain[0])
def test_the_cause_is_found_in_whatever_order_they_were_seen(chain: list[str]) -> None:
    """Often the symptom is seen before the cause."""
    for order in permutations(range(len(chain))):
        members = [Relative(chain[n], chain[n], began_ns=place) for place, n in enumerate(order)]
        assert members[kinship.cause_of(members)].category == chain[0]


def test_the_table_of_causes_knows_only_categories_and_none_causes_itself() -> None:
    """Two may cause each other only where time decides: a loss and a gradient that are not finite."""
    for category, effects in kinship.CAUSES.items():
        assert {category, *effects} <= diagnoses.CATEGORIES
        assert category not in effects


@given(st.lists(st.builds(
    Relative, st.sampled_from("abcd"), st.sampled_from(sorted(diagnoses.CATEGORIES)), st.integers(0, 10),
    st.sampled_from(diagnoses.SEVERITIES), st.lists(st.sampled_from("abcd"), max_size=2).map(tuple),
), min_size=1, max_size=6))  # fmt: skip
def test_there_is_always_one_cause_and_relation_is_mutual(members: list[Relative]) -> None:
    """Also where rules and categories run in circles."""
    assert 0 <= kinship.cause_of(members) < len(members)
    for one, other in product(members, members):
        assert kinship.related(one, other, 5e-9) == kinship.related(other, one, 5e-9)


def test_what_has_nothing_to_do_with_a_trouble_is_an_incident_of_its_own() -> None:
    """A best score is no symptom of a broken card; a collective that timed out is."""
    scene = Scene(together_s=60.0)
    scene.fire("timeout", at_s=1)
    scene.fire("best", at_s=2)
    scene.fire("broken-card", at_s=3)
    trouble, best = scene.run().incidents
    assert [m.rule for m in trouble.members] == ["timeout", "broken-card"]
    assert [m.rule for m in best.members] == ["best"]
    shown = scene.published[-1]
    assert (shown["cause"]["rule"], [s["rule"] for s in shown["symptoms"]]) == ("broken-card", ["timeout"])


def test_related_categories_far_apart_are_two_incidents() -> None:
    """Unless the rules themselves say that one keeps the other quiet."""
    scene = Scene(together_s=60.0)
    scene.fire("hung", at_s=0)
    scene.fire("timeout", at_s=100)
    scene.fire("broken-card", at_s=300)
    hung, timeout = scene.run().incidents
    assert [m.rule for m in hung.members] == ["hung"]
    assert [m.rule for m in timeout.members] == ["timeout", "broken-card"]


def test_an_incident_is_published_at_every_change_under_a_new_number() -> None:
    """With its cause, actions, timeline and outcome."""
    scene = Scene()
    scene.checkpoint(100, at_s=-50)
    scene.fire(at_s=1)
    for number in (0, 1):
        scene.ack(scene.sent[number], commands.SUCCEEDED, step=130, rank=0)
    scene.resolve(at_s=1)
    scene.tick(31)
    states = [one["state"] for one in scene.published]
    assert states == ["acting", "acting", "open", "settling", "resolved"]
    assert [one["seq"] for one in scene.published] == [1, 2, 3, 4, 5]
    last = scene.published[-1]
    assert (last["cause"]["rule"], last["outcome"], last["symptoms"]) == (
        "gradient-explosion",
        "resolved",
        [],
    )
    assert [(a["action"], a["outcome"]) for a in last["actions"]] == [
        ("save", "succeeded"), ("rollback", "succeeded"), ("pause", "withdrawn"),
    ]  # fmt: skip
    assert [line["kind"] for line in last["timeline"]][:4] == ["diagnosis", "sent", "acting", "succeeded"]
    assert last["cost"] == {"lost_steps": 30, "lost_seconds": 51.0, "gpu_seconds": None}


@pytest.mark.parametrize(("said", "lost"), [({}, 30), ({"to_step": 100}, 31), ({"to_step": "x"}, 30)])
def test_steps_are_lost_from_the_one_with_which_the_trainer_goes_on(said: dict[str, Any], lost: int) -> None:
    """A checkpoint holds its step, unless the answer says which one is made next."""
    scene = Scene()
    scene.checkpoint(100, at_s=-50)
    scene.fire(at_s=1)
    scene.ack(scene.sent[0], commands.SUCCEEDED, step=130, rank=0)
    scene.ack(scene.sent[1], commands.SUCCEEDED, step=130, rank=0, detail=said)
    assert scene.published[-1]["cost"]["lost_steps"] == lost


def test_a_hang_costs_the_time_it_lasts_times_the_gpus() -> None:
    """From the first sign until the next attempt trains, and what is to be made again; ranks share some."""
    scene = Scene(restart_s=600.0)
    for rank in range(4):
        scene.lifecycle("started", rank=rank, world_size=4)
        assert scene.run().gpu_count is None
        scene.gpu(f"GPU-{rank // 2}", rank=rank)
        scene.gpu(f"GPU-{rank // 2 + 7}", rank=rank)
    scene.checkpoint(100, at_s=10)
    scene.fire("hung", at_s=20, step=150, evidence={})
    scene.tick(60)
    for rank in range(4):
        scene.lifecycle("killed", rank=rank, world_size=4)
    scene.tick(90)
    for rank in range(4):
        scene.lifecycle("started", rank=rank, world_size=4, attempt=1)
    scene.tick(121)
    last = scene.published[-1]
    assert (last["state"], last["actions"][0]["outcome"]) == ("resolved", "succeeded")
    assert last["actions"][0]["reason"] == "attempt 1 began"
    assert last["cost"] == {"lost_steps": 50, "lost_seconds": 80.0, "gpu_seconds": 320.0}


def test_seconds_count_once() -> None:
    """However stretches overlap."""
    cost = Cost(lost=[(5, 10), (0, 6), (8, 9), (20, 21)])
    assert cost.seconds(None) == 11e-9
    cost.stands(20)
    assert cost.seconds(30) == 20e-9
    cost.moves(25)
    assert cost.seconds(99) == 15e-9
