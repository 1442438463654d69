"""By how much a condition was exceeded: the comparisons of ``when`` with the values of the finding."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import yaml

from stream.rulelang import numbers
from stream.rulelang.functions import PLAIN_BY_NAME
from stream.rulelang.model import Rule
from stream.rulelang.typed import dotted

_SIGNS: Final[Mapping[type[ast.cmpop], str]] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
_MAX_TEXT: Final = 40


def margins(rule: Rule, evidence: Mapping[str, Any]) -> list[str]:
    """``ratio 25 > limit 10`` for each comparison that the evidence is enough to fill in."""
    text = when_of(rule)
    if text is None:
        return []
    try:
        tree = ast.parse(f"({text}\n)", mode="eval").body
    except SyntaxError:
        return []
    known = {**rule.params, **evidence}
    return [told for part in _conjuncts(tree) if (told := _compared(part, known))]


def when_of(rule: Rule) -> str | None:
    """The text of ``when``; None where the rule has none or its file is gone."""
    found = _texts(rule.file).get(rule.id)
    return found if isinstance(found, str) else None


@lru_cache(maxsize=256)
def _texts(file: str) -> dict[str, Any]:
    try:
        pack = yaml.safe_load(Path(file).read_text("utf-8"))
        return {str(rule["id"]): rule.get("when") for rule in pack["rules"]}
    except (OSError, ValueError, yaml.YAMLError, TypeError, KeyError, AttributeError):
        return {}


def _conjuncts(tree: ast.expr) -> list[ast.expr]:
    if isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And):
        return [part for value in tree.values for part in _conjuncts(value)]
    return [tree]


def _compared(tree: ast.expr, known: Mapping[str, Any]) -> str:
    if not isinstance(tree, ast.Compare):
        return ""
    sides = [tree.left, *tree.comparators]
    values = [_value(side, known) for side in sides]
    if any(value is None for value in values):
        return ""
    shown = [_side(side, float(value or 0.0)) for side, value in zip(sides, values, strict=True)]
    told = shown[0]
    for operator, side in zip(tree.ops, shown[1:], strict=True):
        told += f" {_SIGNS.get(type(operator), '?')} {side}"
    return told


def _side(tree: ast.expr, value: float) -> str:
    number = f"{value:.4g}"
    if isinstance(tree, ast.Constant) or isinstance(getattr(tree, "operand", None), ast.Constant):
        return number
    text = ast.unparse(tree)
    return f"{text if len(text) <= _MAX_TEXT else f'{text[:_MAX_TEXT]}…'} {number}"


def _value(tree: ast.expr, known: Mapping[str, Any]) -> float | None:
    """The number this stands for, as far as names, arithmetic and plain functions go."""
    if isinstance(tree, ast.Constant):
        return float(tree.value) if isinstance(tree.value, (int, float)) else None
    name = dotted(tree)
    if name is not None:
        value = known.get(name)
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, (ast.USub, ast.UAdd)):
        inner = _value(tree.operand, known)
        return inner if inner is None or isinstance(tree.op, ast.UAdd) else -inner
    if isinstance(tree, ast.BinOp):
        return _arithmetic(tree, _value(tree.left, known), _value(tree.right, known))
    if isinstance(tree, ast.Call):
        return _call(tree, [_value(one, known) for one in tree.args])
    return None


def _arithmetic(tree: ast.BinOp, left: float | None, right: float | None) -> float | None:
    if left is None or right is None:
        return None
    if isinstance(tree.op, ast.Div):
        return numbers.divide(left, right)
    if isinstance(tree.op, ast.Mod):
        return numbers.remainder(left, right)
    plain = {ast.Add: left + right, ast.Sub: left - right, ast.Mult: left * right}
    return plain.get(type(tree.op), math.nan) if type(tree.op) in plain else None


def _call(tree: ast.Call, arguments: list[float | None]) -> float | None:
    function = PLAIN_BY_NAME.get(dotted(tree.func) or "")
    if function is None or tree.keywords or any(one is None for one in arguments):
        return None
    value = function.call(*arguments)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
