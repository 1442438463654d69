"""Snapshots: an engine that goes on from one is the engine it was taken from."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.diagnose.engine import Engine
from stream.diagnose.snapshot import SnapshotError
from stream.events import Event
from tests.stream.diagnose.stories import LARGE, Feed, resource, rule, rules, run, step, story
from tests.stream.diagnose.streams import ACTIONS, OF_EVERY_KIND, Action, batch, encoded, stream


@settings(max_examples=60)
@given(ACTIONS, st.data())
def test_a_split_anywhere_changes_nothing(actions: list[Action], data: st.DataObject) -> None:
    """Two engines with a snapshot between them say what one says, to the byte, and end in the same state."""
    messages = stream(actions)
    cut = data.draw(st.integers(0, len(messages)))
    whole, begun = Engine(OF_EVERY_KIND), Engine(OF_EVERY_KIND)
    expected = [made for message in messages for made in whole.process(message)]
    got = [made for message in messages[:cut] for made in begun.process(message)]
    snapshot = begun.snapshot()
    other = Engine.restore(OF_EVERY_KIND, snapshot)
    assert other.snapshot() == snapshot
    got += [made for message in messages[cut:] for made in other.process(message)]
    assert encoded(got) == encoded(expected)
    assert other.snapshot() == whole.snapshot()


@settings(max_examples=30)
@given(ACTIONS, st.randoms(use_true_random=False))
def test_events_held_behind_a_gap_are_part_of_it(actions: list[Action], random: object) -> None:
    """A snapshot between events that came in any order keeps what waits."""
    found = [(0, step(n, seq=n, loss=loss)) for n, (_, _, loss) in enumerate(actions)]
    random.shuffle(found)  # type: ignore[attr-defined]
    messages = [batch([one], n) for n, one in enumerate(found)]
    engine, made = Engine(OF_EVERY_KIND), []
    for message in messages:
        made += engine.process(message)
        engine = Engine.restore(OF_EVERY_KIND, engine.snapshot())
    assert encoded(made) == encoded(run(OF_EVERY_KIND, messages))


def test_the_state_does_not_grow_with_the_stream() -> None:
    """A snapshot after six thousand steps of every rank is as large as one after six hundred."""
    engine, sizes = Engine(OF_EVERY_KIND), []
    for number in range(6_000):
        loss = 1.0 + number % 7
        one = step(number, seq=number, loss=loss, grad_norm=loss)
        engine.process(batch([(rank, one) for rank in range(3)], number))
        if number in (600, 5_999):
            sizes.append(len(engine.snapshot()))
    assert sizes[1] < sizes[0] + 200


def test_what_is_no_snapshot_is_refused() -> None:
    """One clear error each for foreign, newer, cut-off and damaged bytes."""
    whole = Engine(OF_EVERY_KIND).snapshot()
    newer = whole[:19] + b"\x63" + whole[20:]
    damaged = whole[:-1] + bytes([whole[-1] ^ 1])
    cases = [
        (b"PK\x03\x04 something", "expected a snapshot of Engine.snapshot(), got 14 bytes of something else"),
        (b"", "got 0 bytes of something else"),
        (newer, "expected a snapshot of version 2, got version 99: replay train.events instead"),
        (damaged, "is cut off or damaged: its checksum does not fit; take an older one"),
        *((whole[:size], "is cut off or damaged") for size in (5, 19, 20, 30, len(whole) - 1)),
    ]
    for data, message in cases:
        with pytest.raises(SnapshotError) as caught:
            Engine.restore(OF_EVERY_KIND, data)
        assert message in str(caught.value)


@settings(max_examples=50)
@given(st.binary(max_size=200), st.integers(0, 400))
def test_no_bytes_make_another_error(noise: bytes, place: int) -> None:
    """Noise anywhere in a snapshot is refused, never half read."""
    whole = Engine(OF_EVERY_KIND).snapshot()
    changed = whole[:place] + noise + whole[place + len(noise) :]
    if changed != whole:
        with pytest.raises(SnapshotError):
            Engine.restore(OF_EVERY_KIND, changed)


def test_values_that_msgpack_has_no_room_for() -> None:
    """Huge integers and halves of surrogate pairs do not stop a snapshot."""
    feed = Feed(rules(rule("match: [memory]\nkeep_firing: 60s", name="memory", on="train.log")))
    held = Event("train.step", 0, seq=5, values={"loss": 10**400})
    feed.send(resource(), Event("train.log", 0, body="\ud800 out of memory"), held)
    snapshot = feed.engine.snapshot()
    assert Engine.restore(rules(LARGE_RULE), snapshot).snapshot() != snapshot
    assert feed.engine.snapshot() == snapshot


LARGE_RULE = rule(LARGE)
OTHER = rule("when: grad_norm > 10", name="other")
CHANGED = rule("when: loss > 11")


def _firing() -> Feed:
    feed = Feed(rules(LARGE_RULE, OTHER))
    feed.send(resource(), step(0, loss=20.0, grad_norm=20.0))
    return feed


def test_a_changed_rule_begins_afresh() -> None:
    """What it had said resolves as `reloaded`; rules that did not change go on."""
    feed = _firing()
    made = feed.engine.replace(rules(CHANGED, OTHER))
    assert story(made) == [("large", "resolved", 0, 0, "reloaded")]
    made = feed.send(resource(), step(1, loss=20.0, grad_norm=20.0), step(2, loss=1.0, grad_norm=1.0))
    assert story(made) == [
        ("large", "firing", 0, 1, None),
        ("large", "resolved", 0, 2, "cleared"),
        ("other", "resolved", 0, 2, "cleared"),
    ]


def test_the_same_rules_again_change_nothing() -> None:
    """Replacing rules by themselves is no event."""
    feed = _firing()
    before = feed.engine.snapshot()
    assert feed.engine.replace(rules(LARGE_RULE, OTHER)) == []
    assert feed.engine.snapshot() == before


def test_restoring_under_other_rules_resolves_with_the_next_message() -> None:
    """A rule that is gone leaves nothing open behind, also across another snapshot."""
    engine = Engine.restore(rules(OTHER), _firing().engine.snapshot())
    engine = Engine.restore(rules(OTHER), engine.snapshot())
    assert story(engine.drain()) == [("large", "resolved", 0, 0, "reloaded")]
    assert engine.drain() == []


def test_a_rule_that_is_gone_keeps_nobody_quiet() -> None:
    """A symptom fires once its cause was taken away."""
    cause, symptom = (
        rule("when: grad_norm > 10", name="cause"),
        rule("when: loss > 10\ninhibited_by: [cause]"),
    )
    feed = Feed(rules(cause, symptom))
    feed.send(resource(), step(0, loss=20.0, grad_norm=20.0))
    lone = rule("when: loss > 10", name="cause")
    feed.engine.replace(rules(lone, symptom))
    made = feed.send(resource(), step(1, loss=20.0))
    assert story(made) == [("cause", "firing", 0, 1, None)]
    feed.engine.replace(rules(rule("when: loss > 99", name="cause"), symptom))
    assert story(feed.send(resource(), step(2, loss=20.0))) == [("large", "firing", 0, 2, None)]
