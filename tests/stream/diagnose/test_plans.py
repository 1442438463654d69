"""Rules made ready once for all partitions."""

from __future__ import annotations

from stream.diagnose.plans import Plans
from stream.rulelang import load_texts
from tests.stream.rulelang.packs import GOOD


def test_partitions_share_what_was_made_of_the_same_rules() -> None:
    """Also while some still have the rules before them, and however the list of them was made."""
    before, now = load_texts({"a.yaml": GOOD}).rules, load_texts({"a.yaml": GOOD}).rules
    old, new = Plans.of(before), Plans.of(now)
    assert old is not new
    assert Plans.of(list(before)) is old
    assert Plans.of(now) is new


def test_fewer_rules_have_plans_of_their_own() -> None:
    """One partition may run experimental rules, another not."""
    rules = load_texts({"a.yaml": GOOD}).rules
    assert Plans.of(rules).by_id.keys() == {"too-large"}
    assert Plans.of(()).by_id == {}
    assert Plans.of(rules).by_id.keys() == {"too-large"}
