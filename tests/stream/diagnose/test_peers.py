"""Peers: the statistics of everybody else, by step and by time."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.diagnose.latest import Latest
from stream.diagnose.peers import Crowd, Peers
from stream.events import Event, Resource
from stream.rulelang import sorted_values
from tests.stream.diagnose.stories import Feed, rule, rules, step, story

VALUES = st.lists(
    st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, 1.0, 5e-324, 1e300, -1e300, math.inf, math.nan]),
    min_size=1,
    max_size=12,
)


def _everything(peers: Peers) -> list[float]:
    return [
        peers.count(), peers.min(), peers.max(), peers.median(), peers.mad(), peers.quantile(0.9),
        peers.sum(), peers.mean(), peers.std(),
    ]  # fmt: skip


@settings(max_examples=200)
@given(VALUES, st.data())
def test_leaving_one_out_is_computing_without_it(values: list[float], data: st.DataObject) -> None:
    """Every statistic of the others is that of a crowd made without one's own value, to the bit."""
    own = data.draw(st.integers(0, len(values) - 1))
    others = [value for index, value in enumerate(values) if index != own]
    left, right = Crowd(values).others(values[own]), Crowd(others).others(None)
    assert repr(_everything(left)) == repr(_everything(right))


@settings(max_examples=100)
@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12))
def test_the_statistics_are_the_usual_ones(values: list[float]) -> None:
    """Against the standard library."""
    peers, others = Crowd(values).others(values[0]), values[1:]
    assert peers.median() == pytest.approx(statistics.median(others))
    assert peers.mean() == pytest.approx(statistics.fmean(others), abs=1e-9)
    assert peers.std() == pytest.approx(statistics.pstdev(others), abs=1e-6)
    assert peers.mad() == sorted_values.mad(sorted(others))
    assert peers.sum() == math.fsum(others)


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40), st.floats(-10, 10)), max_size=30))
def test_the_latest_value_of_each_within_a_minute(puts: Sequence[tuple[int, int, float]]) -> None:
    """What a rank is compared with is the latest of every other, not older than 60 s; also after a save."""
    latest, at, known = Latest(), 0, dict[str, tuple[int, float]]()
    for rank, gap, value in puts:
        at += gap * 10**9
        others = [
            number for who, (time, number) in known.items() if who != str(rank) and time >= at - 60 * 10**9
        ]
        known[str(rank)] = (at, value)
        assert repr(_everything(latest.put(str(rank), at, value))) == repr(
            _everything(Crowd(others).others(None))
        )
        latest = Latest.load(latest.save())


def test_nobody_has_no_statistics() -> None:
    """NaN but for count and sum."""
    peers = Crowd([3.0]).others(3.0)
    assert (peers.count(), peers.sum()) == (0.0, 0.0)
    assert all(math.isnan(value) for value in (peers.mean(), peers.std(), peers.min(), peers.mad()))
    assert math.isnan(peers.quantile(0.5))


def _rank(rank: int, world: int = 4, **more: str) -> Resource:
    return Resource(
        run="run",
        rank=rank,
        world_size=world,
        emitter=f"e{rank}",
        role=more.get("role"),
        node=more.get("node"),
    )


SLOW = rule("when: step_time > 1.5 * peers.median(step_time)\nfor: 2", name="slow")


def test_a_straggler_is_found_by_its_peers() -> None:
    """Only the slow rank, at the second slow step, and it resolves when it is as fast as the others."""
    feed = Feed(rules(SLOW))
    times = {2: [1.0, 3.0, 3.0, 1.0, 1.0]}
    made = []
    for number in range(5):
        for rank in (3, 1, 2, 0):
            took = times.get(rank, [1.0] * 5)[number]
            made += feed.send(_rank(rank), step(number, seq=number, at=number + rank / 10, step_time=took))
    made += feed.engine.drain()
    assert story(made) == [("slow", "firing", 2, 2, None), ("slow", "resolved", 2, 3, "cleared")]


def test_peers_are_those_of_the_same_step() -> None:
    """A rank that is a step ahead in arrival is compared with the others' values of that step."""
    feed = Feed(rules(rule("when: loss > 2 * peers.max(loss)", name="ahead")))
    made = [one for n in range(3) for one in feed.send(_rank(0, 2), step(n, seq=n, loss=10.0**n))]
    made += [one for n in range(3) for one in feed.send(_rank(1, 2), step(n, seq=n, loss=10.0**n))]
    assert story([*made, *feed.engine.drain()]) == []


@pytest.mark.parametrize(("of", "fired"), [("run", [3]), ("role", []), ("node", [3])])
def test_who_counts_as_a_peer(of: str, fired: list[int]) -> None:
    """All ranks of the run, those of one's role (the default), or those on one's node."""
    feed = Feed(rules(rule(f"when: loss > 2 * peers.median(loss, of='{of}')", name="far")))
    roles = ["actor", "actor", "actor", "critic"]
    for rank, loss in enumerate((1.0, 1.0, 1.0, 9.0)):
        feed.send(_rank(rank, role=roles[rank], node=f"n{rank // 2}"), step(0, seq=0, loss=loss))
    assert [one.rank for one in feed.engine.drain() if one.state == "firing"] == fired


def test_peers_may_have_windows_of_their_own() -> None:
    """Each rank's own past, as it was before the step."""
    feed = Feed(rules(rule("when: mean(loss, last=2) > 2 * peers.max(mean(loss, last=2))", name="far")))
    made = []
    for number in range(5):
        for rank in range(2):
            loss = 9.0 if rank and number < 2 else 1.0
            made += feed.send(_rank(rank, 2), step(number, seq=number, loss=loss))
    made += feed.engine.drain()
    assert story(made) == [("far", "firing", 1, 1, None), ("far", "resolved", 1, 4, "cleared")]


def test_other_events_are_compared_by_time() -> None:
    """A rank's latest value within 60 s before, and none that is older."""
    feed = Feed(
        rules(
            rule(
                "when: hw.gpu.temperature > peers.max(hw.gpu.temperature) + 20",
                name="hot",
                on="train.resource",
            )
        )
    )

    made = []

    def sample(rank: int, at: float, value: float, seq: int) -> None:
        event = Event("train.resource", int(at * 1e9), seq=seq, values={"hw.gpu.temperature": value})
        made.extend(feed.send(_rank(rank, 2), event))

    sample(0, 0.0, 50.0, 0)
    sample(1, 30.0, 80.0, 0)
    sample(0, 31.0, 50.0, 1)
    sample(1, 95.0, 99.0, 1)
    made += feed.engine.drain()
    assert [(one.state, one.time[14:19]) for one in made] == [("firing", "00:30"), ("resolved", "01:35")]


def test_a_rule_over_the_whole_run_names_no_rank() -> None:
    """`by` without rank: one series, fed in the order of step, rank and emitter."""
    feed = Feed(rules(rule("when: loss > 10\nfor: 3\nby: [run]", name="whole")))
    made = []
    for number in range(3):
        for rank in (1, 0):
            made += feed.send(_rank(rank, 2), step(number, seq=number, loss=20.0))
    made += feed.engine.drain()
    assert story(made) == [("whole", "firing", None, 1, None)]
