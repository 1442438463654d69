"""Comparisons that can never hold or always do: a mistake of the author in every case."""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from typing import Final

from stream.rulelang.errors import guess, one_of
from stream.rulelang.functions import NUMBER, TEXT
from stream.rulelang.ranges import Range
from stream.rulelang.typed import Typed

_WORDS: Final = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}


def says_nothing(operator: ast.cmpop, left: Typed, right: Typed) -> str | None:
    """Why this comparison is a mistake, or None."""
    if left.literal and right.literal:
        return "both sides are constants: this never depends on a record"
    if type(left.tree) is type(right.tree) and ast.dump(left.tree) == ast.dump(right.tree):
        return "both sides are the same"
    if isinstance(operator, (ast.Eq, ast.NotEq)) and left.type == TEXT:
        return _unknown_word(left, right) or _unknown_word(right, left)
    return _by_range(operator, left, right) if left.type == NUMBER else None


def unknown_item(left: Typed, items: Sequence[Typed]) -> tuple[int, str] | None:
    """The first item after ``in`` that the text on the left never is."""
    for index, item in enumerate(items):
        message = _unknown_word(left, item)
        if message is not None:
            return index, message
    return None


def _unknown_word(side: Typed, other: Typed) -> str | None:
    field, value = side.field, other.tree.value if isinstance(other.tree, ast.Constant) else None
    if field is None or not field.words or not isinstance(value, str) or value in field.words:
        return None
    hint = guess(value, field.words)
    if not field.closed and not hint:
        return None
    known = f": it is one of {one_of(field.words)}" if field.closed and len(field.words) <= 16 else ""
    return f'"{value}" is no value of {field.slot.name}{known}{hint}'


def _by_range(operator: ast.cmpop, left: Typed, right: Typed) -> str | None:
    word = _WORDS.get(type(operator))
    if word is None or (left.range.point and right.range.point):
        return None
    truth = _truth(word, left.range, right.range)
    if truth is None or (truth and (left.params or right.params)):
        return None
    how = "always" if truth else "never"
    return f"this is {how} true: {_said(left)} {word} {_said(right)}"


def _truth(word: str, left: Range, right: Range) -> bool | None:
    """Whether the comparison of any two numbers in these ranges holds; None where it depends."""
    if word in (">", ">="):
        word, left, right = {">": "<", ">=": "<="}[word], right, left
    if word in ("<", "<="):
        strict = word == "<"
        if left.high < right.low or (not strict and left.high == right.low):
            return True if math.isfinite(right.low) or math.isfinite(left.high) else None
        if left.low > right.high or (strict and left.low == right.high):
            return False if math.isfinite(left.low) or math.isfinite(right.high) else None
        return None
    apart = left.high < right.low or left.low > right.high
    return (word == "!=") if apart else None


def _said(side: Typed) -> str:
    low, high = side.range
    if low == high:
        return f"{low:g}"
    if math.isinf(high):
        return "(any number)" if math.isinf(low) else f"(a value of at least {low:g})"
    return f"(a value of at most {high:g})" if math.isinf(low) else f"(a value from {low:g} to {high:g})"
