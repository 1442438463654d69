"""What must not matter where ranks meet: interleaving, batches, repeats, ticks, a snapshot in between."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emitter.vocabulary.diagnoses import Diagnosis
from stream.diagnose.engine import Engine
from stream.events import Batch, Source, Tick
from stream.rulelang.model import RuleSet
from tests.stream.diagnose.crowds import (
    ACROSS,
    ACTIONS,
    DELAYS,
    LAST_TICK,
    RANKS,
    WITH_SPANS,
    Action,
    Record,
    arrivals,
    batch,
    partitions,
    records,
)
from tests.stream.diagnose.stories import tick

SETS = {"numbered": ACROSS, "spans": WITH_SPANS}
RULES = pytest.mark.parametrize("name", list(SETS))
SPARSE = (LAST_TICK - 60, LAST_TICK)
DENSE = (*(float(second) for second in range(0, 140, 2)), LAST_TICK)
TICKS = st.lists(st.integers(0, 1400).map(lambda tenths: tenths / 10), unique=True, max_size=100).map(
    lambda some: (*sorted(some), *SPARSE)
)
"""None, a few, or one a second on average, at any moments."""


def told(ruleset: RuleSet, messages: Iterable[Batch | Tick]) -> list[Diagnosis]:
    engine = Engine(ruleset)
    made = [one for message in messages for one in engine.process(message)]
    made += engine.drain()
    assert (engine.counts.spilled, engine.counts.fenced, engine.counts.late_turns) == (0, 0, 0)
    return made


def same(left: Sequence[Diagnosis], right: Sequence[Diagnosis]) -> None:
    """The same transitions, and those of each rule and rank in the same order."""
    assert sorted(one.encode() for one in left) == sorted(one.encode() for one in right)
    assert _by_rank(left) == _by_rank(right)


def _by_rank(made: Sequence[Diagnosis]) -> dict[tuple[str, int | None, str | None], list[bytes]]:
    found: dict[tuple[str, int | None, str | None], list[bytes]] = defaultdict(list)
    for one in made:
        found[one.rule, one.rank, one.node].append(one.encode())
    return found


@RULES
@settings(max_examples=60)
@given(ACTIONS, DELAYS, DELAYS)
def test_interleaving_within_the_lateness_does_not_matter(
    name: str, actions: list[Action], one: list[int], other: list[int]
) -> None:
    """However the records of the ranks are mixed, and even those of one rank: identical diagnoses."""
    found = records(actions)
    same(told(SETS[name], arrivals(found, one, SPARSE)), told(SETS[name], arrivals(found, other, SPARSE)))


@RULES
@settings(max_examples=40)
@given(ACTIONS, DELAYS, DELAYS, TICKS, TICKS | st.just(DENSE))
def test_ticks_only_move_the_clock(
    name: str, actions: list[Action], one: list[int], other: list[int],
    few: tuple[float, ...], many: tuple[float, ...],
) -> None:  # fmt: skip
    """Dense or sparse, early or late among the records: identical diagnoses, all decided in their turn."""
    found = records(actions)
    same(told(SETS[name], arrivals(found, one, few)), told(SETS[name], arrivals(found, other, many)))


@RULES
@settings(max_examples=40)
@given(ACTIONS, DELAYS, st.lists(st.integers(1, 9), min_size=1, max_size=8), st.data())
def test_batches_and_repeats_do_not_matter(
    name: str, actions: list[Action], delays: list[int], sizes: list[int], data: st.DataObject
) -> None:
    """Any batching, and numbered records that come twice."""
    straight = [message for message in arrivals(records(actions), delays, ()) if isinstance(message, Batch)]
    rest: list[Record] = [(one.events[0].resource, one.events[0]) for one in straight]
    numbered = [item for item in rest if item[1].seq is not None]
    again = data.draw(st.lists(st.sampled_from(numbered), max_size=5)) if numbered else []
    other: list[Batch | Tick] = []
    while rest:
        size = sizes[len(other) % len(sizes)]
        part, rest = rest[:size], rest[size:]
        seen = [item for item in again if item in part]
        other.append(batch([*part, *seen], len(other)))
    same(told(SETS[name], [*straight, tick(LAST_TICK)]), told(SETS[name], [*other, tick(LAST_TICK)]))


@RULES
@settings(max_examples=40)
@given(ACTIONS, DELAYS, st.data())
def test_a_snapshot_in_between_does_not_matter(
    name: str, actions: list[Action], delays: list[int], data: st.DataObject
) -> None:
    """Two engines with a snapshot between them say what one says, to the byte and in the same order."""
    messages = arrivals(records(actions), delays, DENSE)
    cut = data.draw(st.integers(0, len(messages)))
    begun = Engine(SETS[name])
    made = [one for message in messages[:cut] for one in begun.process(message)]
    snapshot = begun.snapshot()
    other = Engine.restore(SETS[name], snapshot)
    assert other.snapshot() == snapshot
    made += [one for message in messages[cut:] for one in other.process(message)]
    made += other.drain()
    assert [one.encode() for one in made] == [one.encode() for one in told(SETS[name], messages)]


@settings(max_examples=40)
@given(ACTIONS, DELAYS)
def test_every_transition_is_legal(actions: list[Action], delays: list[int]) -> None:
    """An id fires once and resolves once, after it fired: when all ranks have ended nothing is open."""
    ends = [(rank, "end", 1.0, 1.0, 100) for rank in range(RANKS)]
    made = told(ACROSS, arrivals(records([*actions, *ends]), delays, DENSE))
    seen: dict[str, list[str]] = {}
    for one in made:
        seen.setdefault(one.id, []).append(one.state)
    assert all(states == ["firing", "resolved"] for states in seen.values())


def test_a_repeated_offset_is_dropped_whole() -> None:
    """A batch that comes again after a crash changes nothing in the lanes either."""
    found = records([(rank, "step", 20.0, 20.0, 100) for rank in (0, 1, 2) * 4])
    messages = arrivals(found, [0], ())
    twice = [again for message in messages for again in (message, msgspec.structs.replace(message))]
    assert all(isinstance(message, Batch) and isinstance(message.source, Source) for message in twice)
    same(told(ACROSS, messages), told(ACROSS, twice))


ROUND: list[Action] = [(0, "beat", 1.0, 1.0, 1000), (1, "beat", 1.0, 1.0, 0), (2, "beat", 1.0, 1.0, 0)]
NAN = float("nan")
LATE_TURN: list[Action] = [
    *([(0, "step", -1.0, -1.0, 0)] * 6), (0, "resource", -1.0, -1.0, 0), (2, "beat", 2.0, 20.0, 0),
    (1, "step", 30.0, -1.0, 700), (0, "step", 30.0, NAN, 700), (1, "resource", -1.0, 2.0, 2500),
    (0, "beat", 30.0, 30.0, 1000), (2, "line", 7.0, 1.5, 2500), (2, "step", 7.0, 30.0, 1000),
    (2, "step", 7.0, 1.0, 0), (1, "step", 20.0, 30.0, 300), (1, "line", 20.0, -1.0, 0),
    (1, "eval", NAN, -1.0, 1000), (1, "line", NAN, 7.0, 1000), (1, "step", 7.0, 2.0, 100),
    (1, "step", 1.5, 1.5, 2500), (1, "beat", -1.0, -1.0, 300), (0, "beat", 2.0, NAN, 1000),
    (0, "step", 7.0, NAN, 2500), (2, "step", 2.0, 7.0, 100), (0, "eval", 2.0, 1.0, 1000),
    (2, "step", 1.5, 2.0, 0),
]  # fmt: skip


def test_no_turn_is_taken_late() -> None:
    """Causes and symptoms are decided in their turn however the ticks stand; hypothesis found this case."""
    found = records(LATE_TURN)
    few, many = (told(ACROSS, arrivals(found, [0, 59232968], ticks)) for ticks in (SPARSE, DENSE))
    same(few, many)


def _hung(still: bool) -> list[Record]:
    """Rank 0 is heard again 19 s after its last step; rank 1 runs out of memory, once or all the time."""
    begun: list[Action] = [
        (0, "step", 1.0, 1.0, 0), (0, "step", 1.0, 1.0, 1000), (0, "beat", 1.0, 1.0, 0),
        (1, "line", 7.0, 1.0, 2000),
    ]  # fmt: skip
    others: list[Action] = [
        (1, "line", 7.0 if still else 1.0, 1.0, 1000) if rank == 1 else (rank, "beat", 1.0, 1.0, 0)
        for _ in range(17)
        for rank in (1, 2)
    ]
    return records([*begun, *others, (0, "beat", 1.0, 1.0, 0)])


@pytest.mark.parametrize("still", [True, False])
def test_an_absence_is_weighed_at_the_heartbeat_that_proves_it(still: bool) -> None:
    """Long after the limit had passed, and whichever rank was read first: as long as the others may wait."""
    found = _hung(still)
    ticked, ahead = told(ACROSS, arrivals(found, [0], DENSE)), told(ACROSS, partitions(found, [0], [400]))
    same(ticked, ahead)
    hangs = [(one.state, one.time[17:19]) for one in ticked if one.rule == "hang"]
    # Kept quiet by a cause that fires when it is proven, it speaks when that is over.
    assert hangs == [("firing", "24" if still else "04")]


def test_what_waits_is_judged_before_its_run_is_forgotten() -> None:
    """Ticks may stay away for longer than a run that ended is remembered, as when ingest is down."""
    memory: list[Action] = [(0, "line", 7.0, 1.0, 0), (0, "step", 7.0, 1.0, 0), (0, "end", 1.0, 1.0, 1000)]
    found = records([(0, "step", 20.0, 1.0, 0), *memory])
    few, many = (told(ACROSS, arrivals(found, [0], (0.0, *ticks))) for ticks in (SPARSE, DENSE[1:]))
    same(few, many)
    assert [one.state for one in few if one.rule == "a-chain"] == ["firing", "resolved"]


def test_a_log_series_over_ranks_ends_when_its_own_lane_has_judged_what_came() -> None:
    """Rules on spans are its causes, so its lines wait for longer than those of rules that have none."""
    lines: list[Action] = [(1, "line", 7.0, 1.0, 1500)] * 4
    found = records([(0, "step", 1.0, 1.0, 0), (2, "step", 1.0, 1.0, 0), *lines, *ROUND * 4])
    few, many = (told(WITH_SPANS, arrivals(found, [0], ticks)) for ticks in (SPARSE, DENSE))
    same(few, many)
    crowd = [(one.state, one.time[17:19]) for one in few if one.rule == "crowd"]
    assert crowd == [("firing", "01"), ("resolved", "08")]
