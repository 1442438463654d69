"""What values an expression can have: never too narrow, or a right comparison would be called a mistake."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.rulelang import expressions, generate
from stream.rulelang.fields import EVENTS
from stream.rulelang.scope import Scope

_LEAVES = st.sampled_from([
    "hw.gpu.utilization", "hw.gpu.power", "system.memory.utilization", "rank", "0", "1", "2.5", "1e308",
    "1e999",
])  # fmt: skip


def _grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    two = st.tuples(inner, inner)
    return st.one_of(
        st.tuples(inner, st.sampled_from("+-*/%"), inner).map(lambda three: f"({' '.join(three)})"),
        inner.map("(-{})".format),
        inner.map("abs({})".format),
        inner.map("exp({})".format),
        inner.map("sqrt({})".format),
        inner.map("floor({})".format),
        two.map(lambda both: f"min({both[0]}, {both[1]})"),
        two.map(lambda both: f"max({both[0]}, {both[1]})"),
        two.map(lambda both: f"({both[0]} if isfinite({both[1]}) else {both[1]})"),
    )


@settings(max_examples=100)
@given(st.recursive(_LEAVES, _grow, max_leaves=8), st.floats(0, 1), st.floats(), st.integers(0, 9))
def test_no_value_is_outside_its_range(text: str, share: float, free: float, rank: int) -> None:
    """Whatever the fields hold, within what they can hold."""
    scope = Scope("train.resource", EVENTS["train.resource"], {})
    typed, _ = expressions.check(text, scope, "")
    if typed is None:
        return
    code = generate.Code()
    name = code.of_slots(typed.tree)
    held = {"hw.gpu.power": free, "rank": float(rank)}
    value = code.build()[name]([held.get(slot.name, share) for slot in scope.slots])
    assert math.isnan(value) or typed.range.low <= value <= typed.range.high
