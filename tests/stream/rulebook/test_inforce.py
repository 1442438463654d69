"""Which records put rules into force, and what they add up to."""

from __future__ import annotations

import random

import pytest

from emitter.vocabulary import topics
from stream import events, resources
from stream.rulebook import bundle, inforce
from stream.rulebook.bundle import Bundle, BundleError

SHIPPED = bundle.read([resources.path("rules")])


def _rules(bundle: Bundle, before: Bundle | None = None) -> list[tuple[bytes | None, bytes | None]]:
    return [(one.key, one.value) for one in inforce.records(bundle, before, 1)[1]]


def test_each_pack_is_a_record_and_each_partition_gets_the_switch() -> None:
    """Keys are packs; the switch carries the same bundle to every partition of the events."""
    switches, packs = inforce.records(SHIPPED, None, partitions=3)
    assert {one.key for one in packs} >= {b"numerics", b"memory"}
    assert {one.topic for one in packs} == {topics.TRAIN_RULES}
    assert [(one.topic, one.partition) for one in switches] == [(topics.TRAIN_EVENTS, n) for n in range(3)]
    message = events.decode(switches[0].value)
    assert isinstance(message, events.Rules)
    assert (message.digest, bundle.decode(message.bundle).digest) == (SHIPPED.digest, SHIPPED.digest)


def test_what_was_written_adds_up_in_any_order_of_packs() -> None:
    """Compaction may keep packs in another order, the newest record last."""
    written = _rules(SHIPPED)
    random.Random(3).shuffle(written)
    found = inforce.assemble([(b"numerics", b'{"texts": {"numerics/old.yaml": "old"}}'), *written])
    assert found is not None
    assert found.digest == SHIPPED.digest


def test_a_pack_that_is_gone_is_gone() -> None:
    """Its record says so, and the sum is the smaller bundle."""
    small = Bundle({name: text for name, text in SHIPPED.texts.items() if name.startswith("numerics/")})
    written = _rules(SHIPPED) + _rules(small, SHIPPED)
    found = inforce.assemble(written)
    assert found is not None
    assert found.digest == small.digest


def test_half_a_publication_is_not_in_force() -> None:
    """Records that do not add up to their digest are nobody's rules."""
    written = _rules(SHIPPED)
    assert inforce.assemble(written[:-1]) is None
    assert inforce.assemble([]) is None
    assert inforce.assemble([(b"x", b"no JSON"), (b"y", b"3"), (b"z", None)]) is None


def test_a_pack_that_no_record_can_hold_is_refused() -> None:
    """One clear error before anything is written."""
    huge = Bundle({"big/big.yaml": "x" * (inforce.MAX_RECORD_BYTES + 1)})
    with pytest.raises(BundleError, match="split the pack"):
        inforce.records(huge, None, 1)
