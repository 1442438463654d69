"""What must not matter to the engine: batch boundaries, interleaving of ranks, replay, repeats."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream import events as wire
from stream.events import Batch, Event, Tick
from tests.stream.diagnose.stories import line, rule, rules, run, step, tick
from tests.stream.diagnose.streams import (
    ACTIONS,
    OF_EVERY_KIND,
    SIZES,
    Action,
    batches,
    encoded,
    numbered,
)

PER_RANK = rules(
    rule("learn: calm\nwhen: loss > 3 * median(loss, last=4)\nfor: 2\nkeep_firing: 3s", name="jump"),
    rule("when: loss > 10 and mean(loss, over='5s') < 5", name="late"),
    rule("when: not isfinite(loss)", name="nan"),
)


def _travelled(message: Batch | Tick) -> Batch | Tick:
    """A message after the wire."""
    decoded = wire.decode(wire.encode(message))
    assert isinstance(decoded, (Batch, Tick))
    return decoded


@given(ACTIONS, SIZES, SIZES)
def test_batch_boundaries_do_not_matter(actions: list[Action], one: list[int], other: list[int]) -> None:
    """The same records in other batches give the same diagnoses, byte for byte."""
    found = numbered(actions)
    last: list[Batch | Tick] = [tick(1000.0)]
    assert encoded(run(OF_EVERY_KIND, [*batches(found, one), *last])) == encoded(
        run(OF_EVERY_KIND, [*batches(found, other), *last])
    )


@given(ACTIONS, SIZES)
def test_replay_is_equal(actions: list[Action], sizes: list[int]) -> None:
    """A second engine on the encoded messages says the same, ids included."""
    messages: list[Batch | Tick] = []
    for index, batch in enumerate(batches(numbered(actions), sizes)):
        messages += [tick(index * 40.0), batch]
    again = [_travelled(message) for message in messages]
    assert encoded(run(OF_EVERY_KIND, messages)) == encoded(run(OF_EVERY_KIND, again))


@given(ACTIONS, SIZES, st.data())
def test_repeated_messages_do_not_matter(
    actions: list[Action], sizes: list[int], data: st.DataObject
) -> None:
    """Batches and ticks that come again after an ingest crash change nothing."""
    messages: list[Batch | Tick] = []
    for index, batch in enumerate(batches(numbered(actions), sizes)):
        messages += [batch, tick(index * 40.0)]
    repeated: list[Batch | Tick] = []
    for index, message in enumerate(messages):
        repeated.append(message)
        if data.draw(st.booleans()):
            repeated += messages[data.draw(st.integers(0, index)) : index + 1]
    assert encoded(run(OF_EVERY_KIND, messages)) == encoded(run(OF_EVERY_KIND, repeated))


@given(ACTIONS, st.randoms(use_true_random=False))
def test_interleaving_of_ranks_does_not_matter(actions: list[Action], random: object) -> None:
    """Rules over one rank see the same, however the ranks' records are mixed."""
    found = [item for item in numbered(actions) if item[1].name == "train.step"]
    by_rank = [[item for item in found if item[0] == rank] for rank in range(3)]
    mixed: list[tuple[int, Event]] = []
    while any(by_rank):
        mixed.append(random.choice([own for own in by_rank if own]).pop(0))  # type: ignore[attr-defined]
    straight, other = run(PER_RANK, batches(found, [5])), run(PER_RANK, batches(mixed, [5]))
    assert sorted(encoded(straight)) == sorted(encoded(other))


@given(ACTIONS, st.randoms(use_true_random=False))
def test_disorder_within_a_rank_does_not_matter(actions: list[Action], random: object) -> None:
    """Records that arrive in any order, and twice, are judged once and in order of train.seq."""
    found = [(0, event) for rank, event in numbered(actions) if rank == 0 and event.name == "train.step"]
    found = [(0, step(n, seq=n, loss=event.values["loss"])) for n, (_, event) in enumerate(found)]
    mixed = [*found, *found[::2]]
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert encoded(run(PER_RANK, batches(found, [4]))) == encoded(run(PER_RANK, batches(mixed, [4])))


@given(ACTIONS)
def test_every_transition_is_legal(actions: list[Action]) -> None:
    """An id fires once and resolves at most once, after it fired; event ids never repeat."""
    made = run(OF_EVERY_KIND, [tick(0.0), *batches(numbered(actions), [3]), tick(50_000.0)])
    seen: dict[str, list[str]] = {}
    for one in made:
        seen.setdefault(one.id, []).append(one.state)
    assert all(states in (["firing"], ["firing", "resolved"]) for states in seen.values())


def test_a_line_survives_the_wire() -> None:
    """The helper's own events are what travels."""
    (batch,) = batches([(0, line("x"))], [1])
    assert wire.decode(wire.encode(batch)) == batch
