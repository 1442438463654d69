"""The memory of what was stored lately."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream.sink import recent
from stream.sink.recent import WINDOW, Recent


def test_a_number_is_new_once_for_each_emitter() -> None:
    """Emitters are apart; without an emitter or a number everything is new."""
    memory = Recent()

    seen = [
        memory.new(*pair) for pair in [("a", 1), ("a", 1), ("b", 1), ("", 1), ("", 1), ("a", -1), ("a", -1)]
    ]

    assert seen == [True, False, True, True, True, True, True]


def test_what_was_given_up_is_new_again_and_what_was_kept_is_not() -> None:
    """Kafka delivers a batch again that was not stored; then it must go in."""
    memory = Recent()
    memory.new("a", 1)
    memory.new_span("a", b"s")
    memory.keep(memory.take())
    memory.new("a", 2)
    memory.new_span("a", b"t")
    memory.give_up(memory.take())

    assert [memory.new("a", seq) for seq in (1, 2)] == [False, True]
    assert [memory.new_span("a", span) for span in (b"s", b"t")] == [False, True]


def test_of_what_left_the_window_nothing_is_known_and_that_is_said() -> None:
    """It counts as new, and history is to be asked also for what this sink stored itself."""
    memory = Recent()
    memory.new("a", 0)
    memory.new("a", WINDOW)
    memory.keep(memory.take())

    assert not memory.new("a", WINDOW)
    assert memory.vague == set()
    assert [memory.new("a", 0), memory.new("a", 0)] == [True, False]
    assert memory.vague == {"a"}


def test_a_jump_clears_the_places_it_passes() -> None:
    """A place that is used again for a higher number does not remember the lower one."""
    memory = Recent()
    for seq in (5, 5 + WINDOW - 1, 5 + 10 * WINDOW):
        assert memory.new("a", seq)

    assert memory.new("a", 5 + 10 * WINDOW - 1)
    assert memory.new("a", 2**63 - 1)


def test_the_number_of_emitters_and_spans_is_bounded() -> None:
    """The ones heard longest ago are forgotten."""
    memory = Recent()
    for number in range(recent.EMITTERS + 1):
        memory.new(f"e{number}", 0)

    assert memory.new("e0", 0)
    assert not memory.new(f"e{recent.EMITTERS}", 0)


@given(st.lists(st.integers(0, 3 * WINDOW), max_size=60))
def test_inside_the_window_it_agrees_with_a_set(seqs: list[int]) -> None:
    """The bits behave as a set of the numbers seen; of older ones each batch remembers its own."""
    memory, model, old, high = Recent(), set[int](), set[int](), -1
    for seq in seqs:
        high = max(high, seq)
        inside = seq > high - WINDOW
        assert memory.new("a", seq) is (seq not in (model if inside else old))
        (model if inside else old).add(seq)
