"""What must not matter to the engine: batch boundaries, interleaving of ranks, replay, repeats."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from emitter.vocabulary.diagnoses import Diagnosis
from stream import events as wire
from stream.events import VERSION, Batch, Event, Message, Resource, Source
from stream.rulelang import load_packs
from tests.stream.diagnose.stories import beat, ended, line, resource, rule, rules, run, step, tick

SHIPPED = load_packs([Path(__file__).parents[3] / "rules"])
PER_RANK = rules(
    rule("when: loss > 3 * median(loss, last=4)\nfor: 2\nkeep_firing: 3s", name="jump"),
    rule("when: loss > 10 and mean(loss, over='5s') < 5", name="late"),
    rule("when: not isfinite(loss)", name="nan"),
)

LOSSES = st.sampled_from([1.0, 1.5, 2.0, 20.0, 30.0, float("nan"), float("inf")])
OWN = st.tuples(
    st.integers(0, 2), st.sampled_from(["step", "step", "step", "line", "beat", "end", "span"]), LOSSES
)


def _event(kind: str, number: int, loss: float, seq: int | None) -> Event:
    if kind == "line":
        return Event("train.log", number * 10**9, seq=seq, body="CUDA out of memory" if loss > 5 else "fine")
    if kind == "beat":
        return beat(float(number), seq)
    if kind == "end":
        return ended(float(number), seq)
    if kind == "span":
        return Event("checkpoint.save", number * 10**9, values={"duration": 1.0}, status="ok")
    return step(number, seq=seq, loss=loss, grad_norm=loss)


def _numbered(actions: Sequence[tuple[int, str, float]]) -> list[tuple[int, Event]]:
    counters = [0, 0, 0]
    found = []
    for number, (rank, kind, loss) in enumerate(actions):
        seq = None if kind == "span" else counters[rank]
        counters[rank] += seq is not None
        found.append((rank, _event(kind, number, loss, seq)))
    return found


def _batches(found: Sequence[tuple[int, Event]], sizes: Sequence[int]) -> list[Message]:
    """The events cut into batches of these sizes (then of the last one)."""
    messages: list[Message] = []
    rest = list(found)
    while rest:
        size = sizes[min(len(messages), len(sizes) - 1)]
        part, rest = rest[:size], rest[size:]
        ranks: list[Resource] = [resource(rank) for rank in range(3)]
        moved = [msgspec.structs.replace(event, resource=rank) for rank, event in part]
        offset = len(messages)
        messages.append(Batch(VERSION, "run", Source("otlp_logs", 0, offset, offset), ranks, moved))
    return messages


def _json(made: Sequence[Diagnosis]) -> list[bytes]:
    return [one.encode() for one in made]


ACTIONS = st.lists(OWN, max_size=60)
SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=8)


@settings(deadline=None)
@given(ACTIONS, SIZES, SIZES)
def test_batch_boundaries_do_not_matter(
    actions: list[tuple[int, str, float]], one: list[int], other: list[int]
) -> None:
    """The same records in other batches give the same diagnoses, byte for byte."""
    found = _numbered(actions)
    last: list[Message] = [tick(1000.0)]
    assert _json(run(SHIPPED, [*_batches(found, one), *last])) == _json(
        run(SHIPPED, [*_batches(found, other), *last])
    )


@settings(deadline=None)
@given(ACTIONS, SIZES)
def test_replay_is_equal(actions: list[tuple[int, str, float]], sizes: list[int]) -> None:
    """A second engine on the encoded messages says the same, ids included."""
    messages: list[Message] = []
    for index, batch in enumerate(_batches(_numbered(actions), sizes)):
        messages += [tick(index * 40.0), batch]
    again = [wire.decode(wire.encode(message)) for message in messages]
    assert _json(run(SHIPPED, messages)) == _json(run(SHIPPED, again))


@settings(deadline=None)
@given(ACTIONS, SIZES, st.data())
def test_repeated_messages_do_not_matter(
    actions: list[tuple[int, str, float]], sizes: list[int], data: st.DataObject
) -> None:
    """Batches and ticks that come again after an ingest crash change nothing."""
    messages: list[Message] = []
    for index, batch in enumerate(_batches(_numbered(actions), sizes)):
        messages += [batch, tick(index * 40.0)]
    repeated: list[Message] = []
    for index, message in enumerate(messages):
        repeated.append(message)
        if data.draw(st.booleans()):
            repeated += messages[data.draw(st.integers(0, index)) : index + 1]
    assert _json(run(SHIPPED, messages)) == _json(run(SHIPPED, repeated))


@settings(deadline=None)
@given(ACTIONS, st.randoms(use_true_random=False))
def test_interleaving_of_ranks_does_not_matter(actions: list[tuple[int, str, float]], random: object) -> None:
    """Rules over one rank see the same, however the ranks' records are mixed."""
    found = [item for item in _numbered(actions) if item[1].name == "train.step"]
    by_rank = [[item for item in found if item[0] == rank] for rank in range(3)]
    mixed: list[tuple[int, Event]] = []
    while any(by_rank):
        mixed.append(random.choice([own for own in by_rank if own]).pop(0))  # type: ignore[attr-defined]
    straight, other = run(PER_RANK, _batches(found, [5])), run(PER_RANK, _batches(mixed, [5]))
    assert sorted(_json(straight)) == sorted(_json(other))


@settings(deadline=None)
@given(ACTIONS, st.randoms(use_true_random=False))
def test_disorder_within_a_rank_does_not_matter(
    actions: list[tuple[int, str, float]], random: object
) -> None:
    """Records that arrive in any order, and twice, are judged once and in order of train.seq."""
    found = [(0, event) for rank, event in _numbered(actions) if rank == 0 and event.name == "train.step"]
    found = [(0, step(n, seq=n, loss=event.values["loss"])) for n, (_, event) in enumerate(found)]
    mixed = [*found, *found[::2]]
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert _json(run(PER_RANK, _batches(found, [4]))) == _json(run(PER_RANK, _batches(mixed, [4])))


@settings(deadline=None)
@given(ACTIONS)
def test_every_transition_is_legal(actions: list[tuple[int, str, float]]) -> None:
    """An id fires once and resolves at most once, after it fired; event ids never repeat."""
    made = run(SHIPPED, [tick(0.0), *_batches(_numbered(actions), [3]), tick(50_000.0)])
    seen: dict[str, list[str]] = {}
    for one in made:
        seen.setdefault(one.id, []).append(one.state)
    assert all(states in (["firing"], ["firing", "resolved"]) for states in seen.values())


def test_a_line_survives_the_wire() -> None:
    """The helper's own events are what travels."""
    (batch,) = _batches([(0, line("x"))], [1])
    assert wire.decode(wire.encode(batch)) == batch
