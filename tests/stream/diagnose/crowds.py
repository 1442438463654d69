"""Generated runs of several ranks, the ways in which their records may arrive, and rules that look across."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from hypothesis import strategies as st

from emitter.vocabulary import events as words
from stream.events import VERSION, Batch, Event, Resource, Source, Tick
from tests.stream.diagnose.stories import SECOND, beat, ended, rule, rules, tick

RANKS = 3
LATENESS = 5 * SECOND
LAST_TICK = 1000.0

HANG = """\
- id: hang
  category: hang
  summary: "no step for {silent:.0f} s"
  absent: {of: train.step, for: 3s, phases: [train]}
  inhibited_by: [memory]"""
UNSAVED = """\
- id: unsaved
  category: checkpoint_stale
  summary: "no save for {silent:.0f} s"
  absent: {of: checkpoint.save, for: 3s, phases: [train]}
  inhibited_by: [failed]"""

ACROSS = rules(
    rule("when: grad_norm > 10", name="cause"),
    rule("when: loss > 10\nfor: 2\nkeep_firing: 2s\ninhibited_by: [cause]", name="symptom"),
    rule(
        "learn: calm\nwhen: loss > 3 * median(loss, last=4)\ninhibited_by: [cause]\nsame: [node]",
        name="neighbour",
    ),
    rule("match: ['out of (?P<what>[a-z]+)']\nkeep_firing: 4s", name="memory", on="train.log"),
    rule("match: [memory]\nfor: 2\nkeep_firing: 2s\nby: [run, node]", name="crowd", on="train.log"),
    rule("when: loss > 5\nfor: 3s\ninhibited_by: [memory, slow]", name="lasting"),
    rule("when: loss > 10\nfor: 2\nby: [run]", name="whole"),
    rule("when: mean(loss, last=3) > 10\nby: [run, node]", name="node"),
    rule(
        "let: {usual: peers.median(step_time)}\nfor: 2\n"
        "when: step_time > 1.5 * usual and peers.count(step_time) >= 1",
        name="slow",
    ),
    rule("when: mean(step_time, last=2) > peers.max(mean(step_time, last=2), of='node')", name="slowest"),
    rule(
        "when: hw.gpu.utilization < 0.5 * peers.mean(hw.gpu.utilization, of='run')",
        name="lazy", on="train.resource",
    ),
    rule(
        "with: {seen: 'last(train.step.loss)'}\nwhen: eval_loss > 2 * seen\nby: [run]",
        name="over", on="train.eval",
    ),
    rule("when: loss > 10 and step_time > 1\ninhibited_by: [slow]", name="delayed"),
    rule(
        "when: rule == 'cause' and state == 'firing' and count(1, over='20s') >= 1\nby: [run]",
        name="many", on="diagnosis",
    ),
    rule("when: loss < 0\ninhibited_by: [many]", name="negative"),
    rule("when: loss > 5\ninhibited_by: [delayed, cause]", name="a-chain"),
    rule("when: loss > 1\nkeep_firing: 1s\ninhibited_by: [a-chain]", name="a-long-chain"),
    HANG,
    rule("when: loss > 5\ninhibited_by: [hang]", name="stuck"),
)  # fmt: skip
"""Rules over several ranks, rules with causes on any rank, and rules on diagnoses: all on numbered events."""

WITH_SPANS = rules(
    rule("when: status == 'error'", name="failed", on="checkpoint.save"),
    rule("when: duration > 2 * peers.median(duration)", name="slow-save", on="checkpoint.save"),
    rule("when: loss > 10\ninhibited_by: [failed]", name="symptom"),
    rule("when: state == 'resolved'\nby: [run]\nkeep_firing: 3s", name="calmer", on="diagnosis"),
    rule("match: [memory]\nkeep_firing: 2s\ninhibited_by: [failed]", name="memory", on="train.log"),
    rule(
        "match: [memory]\nkeep_firing: 2s\nby: [run, node]\ninhibited_by: [failed]",
        name="crowd", on="train.log",
    ),
    rule("match: [memory]\nfor: 2\nkeep_firing: 2s\nby: [run]", name="whole", on="train.log"),
    HANG,
    UNSAVED,
    rule("when: loss > 5\ninhibited_by: [hang, unsaved]", name="stuck"),
)  # fmt: skip
"""The same with spans, which come in no order."""

KINDS = ("step", "step", "step", "step", "line", "beat", "resource", "eval", "end", "save")
LOSSES = st.sampled_from([-1.0, 1.0, 1.5, 2.0, 7.0, 20.0, 30.0, float("nan")])
GAPS = st.sampled_from([0, 0, 100, 300, 700, 1000, 2500])
"""Milliseconds since the record before, of whatever rank: often the same moment."""
Action = tuple[int, str, float, float, int]
_ACTION = st.tuples(st.integers(0, RANKS - 1), st.sampled_from(KINDS), LOSSES, LOSSES, GAPS)
ACTIONS = st.integers(0, 50).flatmap(lambda size: st.lists(_ACTION, min_size=size, max_size=size))
DELAYS = st.lists(st.integers(0, LATENESS - 1), min_size=1, max_size=60)
"""How much later than its own time each record arrives, in ns: never as much as the lateness."""

Record = tuple[int, Event]
GRACE = 15.0
"""Seconds after which a gateway that is back sends its next beacon."""
BEACONS = 5


def who(rank: int, gateway: str | None = None) -> Resource:
    """Three ranks, the last on a node of its own."""
    return Resource(
        run="run", rank=rank, world_size=RANKS, node=f"node{rank // 2}", role="trainer", emitter=f"e{rank}",
        gateway=gateway,
    )  # fmt: skip


def records(actions: Sequence[Action]) -> list[Record]:
    """All events in the order of time, each rank's numbered by train.seq, and steps counted by each rank."""
    seqs, steps, found, at, over = [0] * RANKS, [0] * RANKS, [], 0, set[int]()
    for rank, kind, one, other, gap in actions:
        at += gap * SECOND // 1000
        if rank in over:
            continue
        if kind == "end":
            over.add(rank)
        event = _event(kind, at, steps[rank], one, other)
        if event.name in (words.STEP, words.EVAL):
            steps[rank] += 1
        if kind != "save":
            event = msgspec.structs.replace(event, seq=seqs[rank])
            seqs[rank] += 1
        found.append((rank, event))
    return found


def _event(kind: str, at: int, number: int, one: float, other: float) -> Event:
    seconds = at / SECOND
    if kind == "line":
        return Event(words.LOG, at, body="out of memory" if one > 5 else "all well")
    if kind == "beat":
        return beat(seconds)
    if kind == "end":
        return ended(seconds)
    if kind == "resource":
        return Event(words.RESOURCE, at, values={"hw.gpu.utilization": abs(one)})
    if kind == "eval":
        return Event(words.EVAL, at, step=number, values={"eval_loss": one})
    if kind == "save":
        status = "error" if other > 5 else "ok"
        return Event(
            words.CHECKPOINT_SAVE, at, values={"duration": abs(one)}, end=at + SECOND // 2, status=status
        )
    return Event(
        words.STEP, at, step=number, values={"loss": one, "grad_norm": other, "step_time": abs(other)}
    )


def batch(part: Sequence[Record], offset: int, partition: int = 0, gateway: str | None = None) -> Batch:
    """These events as one batch, of a record of this partition that came through this gateway."""
    moved = [msgspec.structs.replace(event, resource=rank) for rank, event in part]
    source = Source("otlp_logs", partition, offset, offset)
    return Batch(VERSION, "run", source, [who(rank, gateway) for rank in range(RANKS)], moved)


def arrivals(found: Sequence[Record], delays: Sequence[int], ticks: Sequence[float]) -> list[Batch | Tick]:
    """Every record as a batch of its own, in the order of time and delay, and ticks at their times.

    Each rank's own records come in their order. A tick comes when its time has come: everything older than
    it by the lateness is there.
    """
    order: list[tuple[int, int, Record | float]] = []
    behind = [0] * RANKS
    for index, (rank, event) in enumerate(found):
        arrives = (event.end or event.time) + delays[index % len(delays)]
        behind[rank] = max(arrives, behind[rank])
        order.append((behind[rank], index, (rank, event)))
    order += [(int(at * SECOND), -1, at) for at in ticks]
    order.sort(key=lambda one: one[:2])
    return [
        tick(item) if isinstance(item, float) else batch([item], offset)
        for offset, (_, _, item) in enumerate(order)
    ]


def outage(
    found: Sequence[Record], delays: Sequence[int], begin: float, lasts: float, ranks: Sequence[int],
    apart: float,
) -> list[Batch | Tick]:  # fmt: skip
    """The same through a gateway that is away for a while; then the ranks send what they kept, one by one.

    Each begins ``apart`` seconds after the one before, and sends all at once. Ticks come every second.
    """
    back = begin + lasts
    resumes = {rank: (back + place * apart) * SECOND for place, rank in enumerate(ranks)}
    order: list[tuple[float, int, Record | Tick]] = []
    behind = [0.0] * RANKS
    for index, (rank, event) in enumerate(found):
        arrives = float((event.end or event.time) + delays[index % len(delays)])
        if begin * SECOND <= arrives < resumes[rank]:
            arrives = resumes[rank]
        behind[rank] = max(arrives, behind[rank])
        order.append((behind[rank], index, (rank, event)))
    for second in range(int(max(back + GRACE, *(at / SECOND for at in behind)) + BEACONS)):
        alive = second < begin or second >= back + GRACE
        beacon = {"g": float(second)} if alive and second % BEACONS == 0 else {}
        order.append((second * SECOND, -1, tick(float(second), gateways=beacon)))
    order.append((LAST_TICK * SECOND, -1, tick(LAST_TICK, gateways={"g": LAST_TICK})))
    order.sort(key=lambda one: one[:2])
    return [
        item if isinstance(item, Tick) else batch([item], offset, gateway="g")
        for offset, (_, _, item) in enumerate(order)
    ]


def partitions(found: Sequence[Record], delays: Sequence[int], turns: Sequence[int]) -> list[Batch | Tick]:
    """Every rank by a partition of its own, which are read in turns of so many messages each."""
    queues: list[list[tuple[float, int, Batch | Tick]]] = [[] for _ in range(RANKS)]
    behind = [0] * RANKS
    for index, (rank, event) in enumerate(found):
        behind[rank] = max((event.end or event.time) + delays[index % len(delays)], behind[rank])
        queues[rank].append((behind[rank], index, batch([(rank, event)], index, rank)))
    for rank, queue in enumerate(queues):
        ticks = [*range(0, 140, 2), int(LAST_TICK)]
        queue += [(at * SECOND, -1, tick(float(at), partition=rank, sources=RANKS)) for at in ticks]
        queue.sort(key=lambda one: one[:2])
    order, turn = [queues[0].pop(0)], 0
    while any(queues):
        queue = queues[turn % RANKS]
        size = turns[turn % len(turns)]
        order += queue[:size]
        del queue[:size]
        turn += 1
    last = [
        tick(LAST_TICK + more, partition=rank, sources=RANKS) for more in (30, 60) for rank in range(RANKS)
    ]
    return [*(message for *_, message in order), *last]
