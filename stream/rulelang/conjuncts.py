"""The parts of a rule's conditions, one by one: do they hold with these values, and by how much do they miss.

For people who ask why (the engine itself runs the compiled whole). Values come from outside, by the text of
what they are the value of: a name, or a call such as ``count(loss, last=20)``.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from stream.rulelang import numbers, tree
from stream.rulelang.errors import Problems
from stream.rulelang.functions import PLAIN_BY_NAME
from stream.rulelang.model import Rule
from stream.rulelang.typed import dotted

_SIGNS: Final[Mapping[type[ast.cmpop], str]] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=", ast.In: "in",
    ast.NotIn: "not in",
}  # fmt: skip
_HOLDS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": lambda left, right: left < right, "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right, ">=": lambda left, right: left >= right,
    "==": lambda left, right: left == right, "!=": lambda left, right: left != right,
    "in": lambda left, right: left in right, "not in": lambda left, right: left not in right,
}  # fmt: skip
_MAX_TEXT: Final = 60

Known = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """One conjunct with its values. ``holds`` is None where a value is not known.

    ``miss`` is how far it is from holding, relative to its threshold: 0 where it holds, infinite where it
    cannot be said in numbers.
    """

    text: str
    shown: str
    holds: bool | None
    miss: float


def rule_source(rule: Rule) -> dict[str, Any] | None:
    """The rule as its file says it, as plain data; None where the file is gone."""
    return _rules_in(rule.file).get(rule.id)


@lru_cache(maxsize=256)
def _rules_in(file: str) -> dict[str, dict[str, Any]]:
    try:
        node = tree.parse(Path(file).read_text("utf-8"), Problems(file))
    except (OSError, UnicodeDecodeError):
        return {}
    pack = tree.plain(node) if node is not None else {}
    rules = pack.get("rules") if isinstance(pack, dict) else None
    listed = rules if isinstance(rules, list) else []
    return {str(rule["id"]): rule for rule in listed if isinstance(rule, dict) and "id" in rule}


def parts(text: str, known: Known) -> list[Part]:
    """The conjuncts of a condition, in its order."""
    return [_part(one, known) for one in _conjuncts(_tree(text))]


def calls(text: str) -> Iterator[str]:
    """The texts of calls in an expression that only the engine can compute (windows, peers, fields)."""
    for node in ast.walk(_tree(text)):
        if isinstance(node, ast.Call):
            name = dotted(node.func) or ""
            if node.keywords or name not in PLAIN_BY_NAME:
                yield ast.unparse(node)


@lru_cache(maxsize=1024)
def _tree(text: str) -> ast.expr:
    return ast.parse(f"({text}\n)", mode="eval").body


def _conjuncts(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        return [part for value in node.values for part in _conjuncts(value)]
    return [node]


def _part(node: ast.expr, known: Known) -> Part:
    value = _value(node, known)
    text = ast.unparse(node)
    shown = _shown(node, known)
    return Part(text, shown, value if isinstance(value, bool) else None, _miss(node, known))


def _shown(node: ast.expr, known: Known) -> str:
    """``ratio 25 > limit 10``; other conditions with the values of their names behind them."""
    if isinstance(node, ast.Compare):
        shown = _side(node.left, known)
        for operator, side in zip(node.ops, node.comparators, strict=True):
            shown += f" {_SIGNS.get(type(operator), '?')} {_side(side, known)}"
        return shown
    names = {name: known[name] for name in _names(node) if name in known}
    values = ", ".join(f"{name} {_figure(value)}" for name, value in names.items())
    return f"{_short(ast.unparse(node))}{f' ({values})' if values else ''}"


def _side(node: ast.expr, known: Known) -> str:
    text = _short(ast.unparse(node))
    constant = all(isinstance(part, (ast.Constant, ast.UnaryOp, ast.unaryop)) for part in ast.walk(node))
    value = _value(node, known)
    if constant or isinstance(node, (ast.List, ast.Tuple)):
        return text
    return f"{text} {_figure(value)}" if value is not None else f"{text} ?"


def _short(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}..."


def _figure(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return repr(value) if isinstance(value, str) else str(value)
    return f"{value:.4g}"


def _names(node: ast.expr) -> list[str]:
    found: dict[str, None] = {}
    for part in ast.walk(node):
        name = dotted(part) if isinstance(part, (ast.Name, ast.Attribute)) else None
        if name is not None:
            found[name] = None
    return list(found)


def _miss(node: ast.expr, known: Known) -> float:
    if isinstance(node, ast.BoolOp):
        inner = [_miss(one, known) for one in node.values]
        return max(inner) if isinstance(node.op, ast.And) else min(inner)
    holds = _value(node, known)
    if holds is True:
        return 0.0
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        left, right = _value(node.left, known), _value(node.comparators[0], known)
        numeric = all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in (left, right))
        if numeric and left is not None and right is not None:
            distance = abs(left - right) / max(abs(left), abs(right), 1e-300)
            return distance if math.isfinite(distance) else math.inf
    return math.inf


def _value(node: ast.expr, known: Known) -> Any:
    """What this is with these values; None where something in it is not known."""
    if isinstance(node, ast.Constant):
        return float(node.value) if type(node.value) is int else node.value
    name = dotted(node) if isinstance(node, (ast.Name, ast.Attribute)) else None
    if name is not None:
        found = known.get(name)
        return float(found) if type(found) is int else found
    text = ast.unparse(node)
    if isinstance(node, ast.Call) and text in known:
        return known[text]
    method = _RULES.get(type(node))
    return method(node, known) if method is not None else None


def _listed(node: Any, known: Known) -> Any:
    items = [_value(one, known) for one in node.elts]
    return None if any(one is None for one in items) else tuple(items)


def _unary(node: Any, known: Known) -> Any:
    inner = _value(node.operand, known)
    if inner is None or isinstance(node.op, ast.UAdd):
        return inner
    return not inner if isinstance(node.op, ast.Not) else -inner


def _both(node: Any, known: Known) -> Any:
    values = [_value(one, known) for one in node.values]
    decided = isinstance(node.op, ast.Or)
    if any(one is decided for one in values):
        return decided
    return None if any(one is None for one in values) else not decided


def _either(node: Any, known: Known) -> Any:
    test = _value(node.test, known)
    return None if test is None else _value(node.body if test else node.orelse, known)


def _compare(node: Any, known: Known) -> Any:
    sides = [_value(one, known) for one in (node.left, *node.comparators)]
    if any(one is None for one in sides):
        return None
    signs = [_SIGNS.get(type(one), "") for one in node.ops]
    pairs = zip(signs, sides, sides[1:], strict=False)
    try:
        return all(_HOLDS[sign](left, right) for sign, left, right in pairs)
    except (KeyError, TypeError):
        return None


def _arithmetic(node: Any, known: Known) -> Any:
    left, right = _value(node.left, known), _value(node.right, known)
    if not isinstance(left, float) or not isinstance(right, float):
        return None
    made: Mapping[type[ast.operator], Callable[[float, float], float]] = {
        ast.Add: lambda a, b: a + b, ast.Sub: lambda a, b: a - b, ast.Mult: lambda a, b: a * b,
        ast.Div: numbers.divide, ast.Mod: numbers.remainder,
    }  # fmt: skip
    function = made.get(type(node.op))
    return None if function is None else function(left, right)


def _call(node: Any, known: Known) -> Any:
    function = PLAIN_BY_NAME.get(dotted(node.func) or "")
    arguments = [_value(one, known) for one in node.args]
    if function is None or node.keywords or any(one is None for one in arguments):
        return None
    try:
        return function.call(*arguments)
    except TypeError:
        return None


_RULES: Final[Mapping[type[ast.expr], Callable[[Any, Known], Any]]] = {
    ast.UnaryOp: _unary, ast.BoolOp: _both, ast.IfExp: _either, ast.Compare: _compare, ast.BinOp: _arithmetic,
    ast.Call: _call, ast.List: _listed, ast.Tuple: _listed,
}  # fmt: skip
