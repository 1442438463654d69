"""``let`` values in conditions: computed at most once, only where they are read, with the same meaning."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.rulelang import generate, lazy

NAMES = ("a", "b", "c", "d")


def _tree(text: str) -> ast.expr:
    """An expression as the checker leaves it: names of lets, and slots as _slots[i]."""
    tree = ast.parse(text, mode="eval").body
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in NAMES:
            node.id = f"_let_{node.id}"
    return tree


class _Peer:
    """Counts how often a costly value is asked for."""

    def __init__(self, value: float) -> None:
        self.value, self.asked = value, 0

    def get(self) -> float:
        self.asked += 1
        return self.value


def _condition(lets: dict[str, str], when: str) -> Any:
    code = generate.Code([(name, _tree(text)) for name, text in lets.items()])
    name = code.condition(_tree(when))
    return code.build()[name]


COSTLY = {"a": "_peers[0].get()", "b": "a + 1", "c": "_peers[1].get() + b", "d": "b + c"}


@pytest.mark.parametrize(
    ("when", "truth", "asked"),
    [
        ("_slots[0] > 0 and a > 0", False, (0, 0)),
        ("_slots[0] < 0 or a > 0", True, (1, 0)),
        ("_slots[0] == 0 or a > 0", True, (0, 0)),
        ("(c > 99 or b > 1) and a > 0 and d > 0", True, (1, 1)),
        ("_slots[0] == 0 and (b > 99 or _slots[0] == 0 or d > 1)", True, (1, 0)),
        ("a < b < 0 < c", False, (1, 0)),
        ("(c if _slots[0] > 0 else a) == 1", True, (1, 0)),
        ("d > 0 and d > b and c > a", True, (1, 1)),
    ],
)
def test_a_value_is_computed_when_it_is_read_and_once(when: str, truth: bool, asked: tuple[int, int]) -> None:
    """Parts that short-circuit leave what only they read uncomputed; nothing is computed twice."""
    peers = (_Peer(1.0), _Peer(5.0))
    assert _condition(COSTLY, when)([0.0], [], peers) is truth
    assert (peers[0].asked, peers[1].asked) == asked


LEAVES = st.sampled_from(["_slots[0]", "_slots[1]", "1.0", "0.5"])


def _numbers(names: tuple[str, ...]) -> st.SearchStrategy[str]:
    leaves = LEAVES if not names else st.one_of(LEAVES, st.sampled_from(names))
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
            st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} if {t[1]} > 0 else {t[2]})"),
        ),
        max_leaves=4,
    )


def _truths(names: tuple[str, ...]) -> st.SearchStrategy[str]:
    compared = st.tuples(_numbers(names), st.sampled_from(["<", ">=", "=="]), _numbers(names)).map(" ".join)
    return st.recursive(
        compared,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: f"({' '.join(t)})"),
            inner.map(lambda one: f"(not {one})"),
        ),
        max_leaves=6,
    )


@given(
    st.tuples(*(_numbers(NAMES[:count]) for count in range(len(NAMES)))),
    _truths(NAMES),
    st.tuples(st.floats(-4, 4), st.floats(-4, 4)),
)
def test_it_means_what_computing_all_in_front_means(
    definitions: tuple[str, ...], when: str, slots: tuple[float, float]
) -> None:
    """Any condition over any lets has the truth of plain Python."""
    names: dict[str, Any] = {"_slots": slots}
    for name, text in zip(NAMES, definitions, strict=True):
        names[name] = eval(text, {}, names)
    lets = dict(zip(NAMES, definitions, strict=True))
    assert _condition(lets, when)(slots, [], ()) is bool(eval(when, {}, names))


def test_a_chain_that_would_double_at_every_step_stays_small() -> None:
    """Definitions that repeat each other beyond a bound are computed in front instead."""
    trees = [("n0", ast.parse("_slots[0]", mode="eval").body)]
    trees += [(f"n{i}", ast.parse(f"_let_n{i - 1} + _let_n{i - 1}", mode="eval").body) for i in range(1, 40)]
    when = ast.parse("_slots[0] > 0 or _let_n39 == 0", mode="eval").body
    with pytest.raises(lazy.TooLargeError):
        lazy.Expander(dict(trees)).expand(when, set())
    code = generate.Code(trees)
    name = code.condition(when)
    built = code.build()[name]
    assert built([0.0], [], ()) is True
    assert len(built.__code__.co_code) < 4_000
