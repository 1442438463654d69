"""Expressions: what they mean, and that nothing else gets in."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.rulelang import expressions, generate
from stream.rulelang.fields import EVENTS
from stream.rulelang.functions import BOOL, NUMBER, TEXT
from stream.rulelang.scope import Scope
from stream.rulelang.typed import Typed, renamed


def _scope(event: str = "train.step") -> Scope:
    return Scope(event, EVENTS[event], {"limit": 10.0})


def _value(text: str, **fields: Any) -> Any:
    scope = _scope()
    typed, mistakes = expressions.check(text, scope, "")
    assert typed is not None, [str(mistake) for mistake in mistakes]
    return _compiled(typed)([fields[slot.name] for slot in scope.slots])


def _compiled(typed: Typed) -> Callable[..., Any]:
    code = generate.Code()
    name = code.of_slots(typed.tree)
    return code.build()[name]


def _mistakes(text: str, event: str = "train.step") -> list[str]:
    typed, mistakes = expressions.check(text, _scope(event), "")
    assert typed is None
    return [str(mistake) for mistake in mistakes]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("loss / 0", math.inf),
        ("-loss / 0", -math.inf),
        ("loss / -0.0", -math.inf),
        ("(loss - 2) / 0", math.nan),
        ("loss % 0", math.nan),
        ("-loss % 3", 1.0),
        ("loss * 3 - 1", 5.0),
        ("loss if loss > 1 else 0", 2.0),
        ("log(0)", -math.inf),
        ("log(-1)", math.nan),
        ("log10(100)", 2.0),
        ("exp(1000)", math.inf),
        ("sqrt(-1)", math.nan),
        ("max(loss, 5, 1)", 5.0),
        ("min(loss, 5)", 2.0),
        ("max(loss, log(-1))", math.nan),
        ("abs(-loss)", 2.0),
        ("floor(2.7) + ceil(2.2)", 5.0),
        ("floor(exp(1000))", math.inf),
        ("number('2.5')", 2.5),
        ("number('x')", math.nan),
        ("1e308 * 10", math.inf),
        ("limit", 10.0),
    ],
)
def test_arithmetic_is_ieee_and_never_raises(text: str, expected: float) -> None:
    """Division by zero, overflow and domain errors give infinities and NaN."""
    value = _value(text, loss=2.0)
    assert value == expected or (math.isnan(value) and math.isnan(expected))
    assert isinstance(value, float)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 < loss <= 2", True),
        ("loss in (1, 2)", True),
        ("loss not in [1, 2]", False),
        ("not loss > 3", True),
        ("isnan(loss / 0 - loss / 0)", True),
        ("isfinite(loss) and not isinf(loss)", True),
        ("loss == 2 or loss < 0", True),
        ("node == 'a' and 'b' in role", True),
        ("lower(role) == 'abc'", True),
        ("startswith(role, 'ab')", True),
        ("endswith(role, 'x')", False),
        ("'a' in ['a', 'b']", True),
        ("True", True),
        ("log(-loss) > 0", False),
        ("log(-loss) != 0", True),
    ],
)
def test_truth(text: str, expected: bool) -> None:
    """Comparison, membership, and/or/not and the tests of numbers and texts."""
    assert _value(text, loss=2.0, node="a", role="abc") is expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loss > 'a'", "expected a number to compare with, got a text"),
        ("node > 'a'", "expected numbers around <, <=, > and >=, got a text"),
        ("loss and True", "expected a truth value, got a number"),
        ("not loss", "expected a truth value, got a number"),
        ("-node", "expected a number, got a text"),
        ("node + 'a'", "expected a number, got a text"),
        ("1 if loss else 2", "expected a truth value, got a number"),
        ("1 if loss > 1 else 'a'", "expected a number as on the other side, got a text"),
        ("loss in 'abc'", "expected a list such as [1, 2] to look for a number in"),
        ("loss in [1, 'a']", "expected a number as on the left, got a text"),
        ("loss == None", "expected a number, a text, True or False, got NoneType"),
        ("1j", "expected a number, a text, True or False, got complex"),
        ("b'a' == 'a'", "expected a number, a text, True or False, got bytes"),
        ("lss", "train.step has no 'lss'; did you mean \"loss\"?"),
        ("my_own_thing", 'a name of your own is reached as field("my_own_thing")'),
        ("log", "the function log needs its arguments in parentheses"),
        ("lag(loss)", "there is no function 'lag'; did you mean \"log\"?"),
        ("log(loss, 2)", "log takes 1 argument"),
        ("max(loss)", "max takes 2 arguments or more"),
        ("log(x=1)", "log takes 1 argument"),
        ("median(loss)", 'median needs one of last=N (samples) and over="5m"'),
        ("median(loss, last=3, over='5m')", "median needs one of last=N"),
        ("median(loss, last=0)", "expected last= to be a whole number from 1 to 10,000"),
        ("median(loss, last=10001)", "expected last= to be a whole number from 1 to 10,000"),
        ("median(loss, last=True)", "expected last= to be a whole number"),
        ("median(loss, over='25h')", "expected over= to be a duration"),
        ("median(loss, over=5)", "expected over= to be a duration"),
        ("median(loss, lst=5)", "median knows last= and over=, got lst="),
        ("median(**{})", "median knows last= and over=, got **="),
        ("median(last=3)", "median takes one value and last= or over="),
        (
            "mean(mean(mean(mean(loss, last=3), last=3), last=3), last=3)",
            "windows may be nested 3 deep, this would be 4",
        ),
        ("mean(peers.max(loss), last=3)", "a window holds values of its own rank"),
        ("quantile(loss, 2, last=9)", "expected the share of a quantile to be a number from 0 to 1"),
        ("quantile(loss, last=9)", "expected the share of a quantile"),
        ("peers.mode(loss)", "there is no peers.mode; there are count, mad, max"),
        ("peers.medain(loss)", 'did you mean "median"?'),
        ("peers.median()", 'peers.median takes one value, and of="run", "role" or "node"'),
        ("peers.median(loss, of='rack')", 'expected of= to be "run", "role" or "node"'),
        ("peers.median(loss, last=3)", "peers.median knows of=, got last="),
        ("peers.median(peers.max(loss))", "cannot stand inside another peers.*"),
        ("peers.quantile(loss)", "expected the share of a quantile"),
        (
            "train.eval.eval_loss",
            "is of another event; join it in `with`, such as x: last(train.eval.eval_loss)",
        ),
        ("field(loss)", "expected the logged name in quotes"),
        ("field('')", "expected the logged name in quotes"),
        ("has(lss)", "there is no field 'lss'; did you mean \"loss\"?"),
        ("has(limit)", "there is no field 'limit'"),
        ("loss >", "not an expression"),
        ("1or 2", "not an expression"),
        ("loss; loss", "not an expression"),
        ("(loss))", "not an expression"),
        ("9" * 400, "the number is too large"),
        ("1" + "+1" * 100, "nested too deep"),
        ("-" * 1500 + "1", "n"),
        ("(" * 500 + "1" + ")" * 500, "nested too deep: expected at most 40 brackets"),
        ("1" + " " * 2000, "expected at most 2000 characters"),
        ("loss in [" + "1," * 101 + "]", "expected at most 100 items, got 101"),
    ],
)
def test_mistakes_are_named(text: str, message: str) -> None:
    """Wrong types, names, functions and arguments."""
    assert any(message in mistake for mistake in _mistakes(text)), _mistakes(text)


def test_one_expression_tells_all_its_mistakes() -> None:
    """Checking goes on after the first."""
    assert len(_mistakes("los > 1 and grad_nrm > 2 and lag(loss) > 3")) == 3


ESCAPES = [
    "().__class__.__bases__[0].__subclasses__()",
    "loss.__class__",
    "loss.real",
    "__import__('os')",
    "__builtins__",
    "open('x')",
    "eval('1')",
    "exec('1')",
    "getattr(loss, 'x')",
    "(lambda: 1)()",
    "[x for x in (1, 2)]",
    "{1: 2}",
    "{1, 2}",
    "(x for x in [1])",
    "9**9**9",
    "2 ** 3",
    "'a' * 10**9",
    "'a' * 3",
    "1 << 99",
    "loss // 2",
    "loss @ loss",
    "~1",
    "1 is 1",
    "f'{loss}'",
    "f'{().__class__}'",
    "(y := 5)",
    "loss[0]",
    "'abc'[0]",
    "[1][0]",
    "[1]",
    "(1, 2)",
    "*loss",
    "await loss",
    "yield",
    "max(*[1, 2])",
    "log.__globals__",
    "median.x",
    "str.format('{}', 1)",
    "'{0.__class__}'.format(1)",
    "type(1)",
    "globals()",
    "vars()",
    "dir()",
    "print(1)",
    "_slots",
    "_windows",
    "_f_log(1)",
    "_let_x",
    "lambda: 1",
    "...",
    "loss ** -1",
    "has(loss).x",
    "field('a').b",
    "max(loss, 1).__class__",
    "median(loss, last=3).__class__",
    "del loss",
    "import os",
    "loss = 3",
    "assert 1",
    "breakpoint()",
    "compile('1', 'a', 'eval')",
    "object()",
    "1 .__class__",
    "(1).real",
    "quantile(loss, __import__('os'), last=3)",
    "median(loss, last=__import__('os'))",
    "median(loss, last=10**9)",
    "field(f'{1}')",
    "\x00",
    "loss\n)\nimport os\n(",
    "1)#",
    "'\\N{DIGIT ONE}'.x",
    "print",
    "None",
]


@pytest.mark.parametrize("text", ESCAPES)
def test_no_escape(text: str) -> None:
    """Attribute access, foreign calls, comprehensions, powers and the rest are refused."""
    assert _mistakes(text)


_LEAVES = st.sampled_from(
    [
        "loss",
        "grad_norm",
        "1",
        "0.5",
        "'a'",
        "True",
        "node",
        "limit",
        "x",
        "__class__",
        "None",
        "1e999",
        "()",
        "[]",
    ]
)


def _grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(inner, inner)
    joined = st.sampled_from(
        ["+", "-", "*", "/", "%", "**", "<", "==", "in", "and", "or", "is", "@", ".", ","]
    )
    return st.one_of(
        st.tuples(inner, joined, inner).map(" ".join),
        inner.map("({})".format),
        inner.map("-{}".format),
        inner.map("not {}".format),
        inner.map("log({})".format),
        inner.map("median({}, last=5)".format),
        inner.map("[{}]".format),
        inner.map("has({})".format),
        inner.map("{}.__class__".format),
        inner.map("{}[0]".format),
        inner.map("lambda: {}".format),
        pair.map(lambda both: f"max({both[0]}, {both[1]})"),
        pair.map(lambda both: f"{both[0]} if {both[1]} else {both[0]}"),
        pair.map(lambda both: f"[{both[0]} for x in {both[1]}]"),
    )


@given(st.recursive(_LEAVES, _grow, max_leaves=12) | st.text(max_size=60))
def test_whatever_is_accepted_computes_a_plain_value(text: str) -> None:
    """A generated source is refused, or gives a number, a truth value or a text and never raises."""
    scope = _scope()
    typed, mistakes = expressions.check(text, scope, "")
    if typed is None:
        assert mistakes
        return
    assert not mistakes
    if not typed.windowed:
        slots: list[Any] = [{"number": 2.0, "text": "a", "has": True}[slot.kind] for slot in scope.slots]
        value = _compiled(typed)(slots)
        assert type(value) is {NUMBER: float, BOOL: bool, TEXT: str}[typed.type]


def test_generated_code_reaches_nothing_but_its_functions() -> None:
    """No builtins are in reach of a compiled rule."""
    typed, _ = expressions.check("loss / 2", _scope(), "")
    assert typed is not None
    space = _compiled(typed).__globals__
    assert space["__builtins__"] == {}
    assert {name for name in space if not name.startswith("_f_")} == {"__builtins__"}


def test_lets_are_computed_only_for_parts_that_are_reached() -> None:
    """A conjunction stops at its first failing part, before the lets of later parts."""
    scope = _scope()
    first, _ = expressions.check("loss > 1", scope, BOOL)
    broken, _ = expressions.check("median(loss, last=3)", scope, NUMBER)
    assert first is not None
    assert broken is not None
    scope.lets["typical"] = renamed(broken, "typical")
    both, _ = expressions.check("loss > 1 and typical > 1", scope, BOOL)
    assert both is not None
    code = generate.Code([("typical", broken.tree)])
    name = code.condition(both.tree)
    test = code.build()[name]
    assert test([0.0], [], []) is False
    with pytest.raises(IndexError):
        test([2.0], [], [])
