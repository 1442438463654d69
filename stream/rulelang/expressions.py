"""Expressions: a small, typed part of Python's grammar, checked completely and rewritten for the compiler.

Nothing reaches the compiler that is not built here, node by node: arithmetic, comparison, and/or/not,
``a if b else c``, constants, known names and listed functions. There is no attribute access (a dotted
name is one name of the vocabulary), no indexing, no power, no loop, no other call.
"""

from __future__ import annotations

import ast
import warnings
from typing import Final

from stream.rulelang import comparisons, functions, params, ranges
from stream.rulelang.calls import check_call, foreign
from stream.rulelang.errors import nearest
from stream.rulelang.fields import Field, split
from stream.rulelang.functions import BOOL, NUMBER, TEXT
from stream.rulelang.generate import call, slot_value
from stream.rulelang.ranges import Range
from stream.rulelang.scope import Scope
from stream.rulelang.typed import ExpressionError, Typed, dotted, made

MAX_LENGTH: Final = 2000
MAX_DEPTH: Final = 40
MAX_LIST: Final = 100

_ARITHMETIC: Final = {ast.Add: ranges.add, ast.Sub: ranges.subtract, ast.Mult: ranges.multiply}
_ORDER: Final = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_REFUSED: Final = {
    ast.Pow: "`**`", ast.FloorDiv: "`//`", ast.MatMult: "`@`", ast.LShift: "`<<`", ast.RShift: "`>>`",
    ast.BitAnd: "`&`", ast.BitOr: "`|`", ast.BitXor: "`^`", ast.Invert: "`~`", ast.Is: "`is`",
    ast.IsNot: "`is not`", ast.Subscript: "indexing", ast.Attribute: "attribute access",
    ast.Lambda: "a lambda", ast.ListComp: "a comprehension", ast.SetComp: "a comprehension",
    ast.DictComp: "a comprehension", ast.GeneratorExp: "a comprehension", ast.JoinedStr: "an f-string",
    ast.NamedExpr: "`:=`", ast.Await: "`await`", ast.Yield: "`yield`", ast.Starred: "`*`",
    ast.Dict: "a dictionary", ast.Set: "a set", ast.List: "a list (only after `in`)",
    ast.Tuple: "a tuple (only after `in`)",
}  # fmt: skip


def check(text: str, scope: Scope, expected: str) -> tuple[Typed | None, list[ExpressionError]]:
    """The checked expression of the ``expected`` type ("" for any), and every mistake in it."""
    checker = _Checker(scope)
    try:
        tree = _parse(text)
        typed = checker.visit(tree, 0)
    except ExpressionError as error:
        return None, [*checker.errors, error]
    if typed is not None and expected and typed.type != expected:
        checker.fail(tree, f"expected a {expected}, got a {typed.type}")
    return typed if not checker.errors else None, checker.errors


def _parse(text: str) -> ast.expr:
    if len(text) > MAX_LENGTH:
        raise ExpressionError(1, 0, f"expected at most {MAX_LENGTH} characters, got {len(text)}")
    if _brackets(text) > MAX_DEPTH:
        raise ExpressionError(1, 0, f"nested too deep: expected at most {MAX_DEPTH} brackets in each other")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            # The parentheses let an expression go over several lines; they shift the first by one.
            return ast.parse(f"({text}\n)", mode="eval").body
    except SyntaxError as error:
        raise ExpressionError(*_where(text, error), f"not an expression: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ExpressionError(1, 0, f"not an expression: {error or 'nested too deep'}") from None


def _brackets(text: str) -> int:
    """How deep brackets nest: counted before parsing, which may take long for what nobody writes."""
    deepest = depth = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return deepest


def _where(text: str, error: SyntaxError) -> tuple[int, int]:
    lines = text.split("\n")
    line, column = max(error.lineno or 1, 1), max((error.offset or 2) - 1, 0)
    if line > len(lines):
        return len(lines), len(lines[-1])
    return line, max(column - 1, 0) if line == 1 else column


class _Checker:
    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.errors: list[ExpressionError] = []

    def fail(self, node: ast.AST, message: str) -> None:
        line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        self.errors.append(ExpressionError(line, column - 1 if line == 1 else column, message))

    def visit(self, node: ast.expr, depth: int) -> Typed | None:
        """The checked node, or None after its mistakes were recorded."""
        if depth > MAX_DEPTH:
            raise ExpressionError(node.lineno, max(node.col_offset - 1, 0), "nested too deep")
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            self._refuse(node, node)
            return None
        typed: Typed | None = method(node, depth + 1)
        return typed

    def want(self, node: ast.expr, expected: str, depth: int) -> Typed | None:
        """The checked node if it has this type."""
        typed = self.visit(node, depth)
        if typed is not None and typed.type != expected:
            self.fail(node, f"expected a {expected}, got a {typed.type}")
            return None
        return typed

    def _call(self, node: ast.Call, depth: int) -> Typed | None:
        return check_call(self, node, depth)

    def _refuse(self, node: ast.AST, kind: ast.AST) -> None:
        what = _REFUSED.get(type(kind), type(kind).__name__)
        self.fail(node, f"{what} is not part of the rule language")

    def _constant(self, node: ast.Constant, _depth: int) -> Typed | None:
        value = node.value
        if isinstance(value, bool):
            return Typed(ast.Constant(value), BOOL, literal=True)
        if isinstance(value, str):
            return Typed(ast.Constant(value), TEXT, literal=True)
        if isinstance(value, (int, float)):
            try:
                number = float(value)
            except OverflowError:
                self.fail(node, "the number is too large")
                return None
            return Typed(ast.Constant(number), NUMBER, literal=True, range=ranges.at(number))
        self.fail(node, f"expected a number, a text, True or False, got {type(value).__name__}")
        return None

    def _name(self, node: ast.Name, _depth: int) -> Typed | None:
        return self._resolve(node, node.id)

    def _attribute(self, node: ast.Attribute, _depth: int) -> Typed | None:
        name = dotted(node)
        if name is None:
            self._refuse(node, node)
            return None
        return self._resolve(node, name)

    def _resolve(self, node: ast.expr, name: str) -> Typed | None:
        scope = self.scope
        if name in scope.lets:
            scope.used.add(name)
            if scope.frame is not None:
                self.fail(node, f"`{name}` cannot stand inside a window of another event")
                return None
            return scope.lets[name]
        if name in scope.params:
            scope.used.add(name)
            return self._param(name)
        if scope.joining:
            field = foreign(self, node, name)
        else:
            field = scope.find(name)
            if field is not None:
                scope.used.add(name)
            else:
                self.fail(node, self._unknown(name))
        return None if field is None else self._read(field)

    def _param(self, name: str) -> Typed:
        scope = self.scope
        default = scope.defaults.get(name, scope.params[name])
        return Typed(params.tree(scope, name), NUMBER, params=True, range=ranges.at(default))

    def _read(self, field: Field) -> Typed:
        tree = slot_value(self.scope.slot(field.slot))
        return Typed(tree, field.type, range=Range(field.low, field.high), field=field)

    def _unknown(self, name: str) -> str:
        parts = split(name)
        if parts is not None:
            return f"`{name}` is of another event; join it in `with`, such as x: last({name})"
        near = nearest(name, self.scope.known())
        hint = f'; did you mean "{near}"?' if near else ""
        # A misspelt name is one mistake, not two: what was meant counts as used.
        self.scope.used |= {near} if near else set()
        if name in functions.NAMES:
            hint = f"; the function {name} needs its arguments in parentheses"
        elif not hint:
            hint = f'; a name of your own is reached as field("{name}")'
        return f"{self.scope.event} has no {name!r}{hint}"

    def _binop(self, node: ast.BinOp, depth: int) -> Typed | None:
        left, right = self.want(node.left, NUMBER, depth), self.want(node.right, NUMBER, depth)
        if not isinstance(node.op, (*_ARITHMETIC, ast.Div, ast.Mod)):
            self._refuse(node, node.op)
            return None
        if left is None or right is None:
            return None
        bounds = _ARITHMETIC.get(type(node.op))
        if bounds is not None:
            joined = ast.BinOp(left.tree, node.op, right.tree)
            return made(joined, NUMBER, left, right, range=bounds(left.range, right.range))
        if isinstance(node.op, ast.Div):
            tree = call("divide", left.tree, right.tree)
            return made(tree, NUMBER, left, right, range=ranges.divide(left.range, right.range))
        return made(call("remainder", left.tree, right.tree), NUMBER, left, right)

    def _unaryop(self, node: ast.UnaryOp, depth: int) -> Typed | None:
        if isinstance(node.op, ast.Invert):
            self._refuse(node, node.op)
            return None
        expected = BOOL if isinstance(node.op, ast.Not) else NUMBER
        operand = self.want(node.operand, expected, depth)
        if operand is None:
            return None
        bounds = ranges.negate(operand.range) if isinstance(node.op, ast.USub) else operand.range
        return made(ast.UnaryOp(node.op, operand.tree), expected, operand, range=bounds)

    def _boolop(self, node: ast.BoolOp, depth: int) -> Typed | None:
        parts = [self.want(value, BOOL, depth) for value in node.values]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        return made(ast.BoolOp(node.op, [part.tree for part in known]), BOOL, *known)

    def _ifexp(self, node: ast.IfExp, depth: int) -> Typed | None:
        test = self.want(node.test, BOOL, depth)
        body, other = self.visit(node.body, depth), self.visit(node.orelse, depth)
        if test is None or body is None or other is None:
            return None
        if body.type != other.type:
            self.fail(node.orelse, f"expected a {body.type} as on the other side, got a {other.type}")
            return None
        tree = ast.IfExp(test.tree, body.tree, other.tree)
        return made(tree, body.type, test, body, other, range=ranges.either(body.range, other.range))

    def _compare(self, node: ast.Compare, depth: int) -> Typed | None:
        sides: list[Typed | None] = [self.visit(node.left, depth)]
        for operator, comparator in zip(node.ops, node.comparators, strict=True):
            previous = sides[-1]
            if isinstance(operator, (ast.In, ast.NotIn)):
                sides.append(self._container(comparator, previous, depth))
            else:
                sides.append(self._side(node, operator, previous, comparator, depth))
        known = [side for side in sides if side is not None]
        if len(known) < len(sides):
            return None
        tree = ast.Compare(known[0].tree, node.ops, [side.tree for side in known[1:]])
        return made(tree, BOOL, *known)

    def _side(
        self, node: ast.Compare, operator: ast.cmpop, previous: Typed | None, comparator: ast.expr, depth: int
    ) -> Typed | None:
        if isinstance(operator, (ast.Is, ast.IsNot)):
            self._refuse(node, operator)
            return None
        side = self.visit(comparator, depth)
        if side is None or previous is None:
            return None
        if side.type != previous.type:
            self.fail(comparator, f"expected a {previous.type} to compare with, got a {side.type}")
            return None
        if isinstance(operator, _ORDER) and side.type != NUMBER:
            self.fail(comparator, f"expected numbers around <, <=, > and >=, got a {side.type}")
            return None
        if isinstance(comparator, ast.Name) and comparator.id in ("nan", "NaN"):
            self.fail(comparator, "nothing equals NaN; use isnan(x)")
        self._weigh(comparator, comparisons.says_nothing(operator, previous, side))
        return side

    def _weigh(self, node: ast.expr, message: str | None) -> None:
        if message is not None:
            self.fail(node, message)

    def _container(self, node: ast.expr, item: Typed | None, depth: int) -> Typed | None:
        if not isinstance(node, (ast.List, ast.Tuple)):
            side = self.want(node, TEXT, depth)
            if item is not None and item.type != TEXT:
                self.fail(node, f"expected a list such as [1, 2] to look for a {item.type} in")
                return None
            return side
        if len(node.elts) > MAX_LIST:
            self.fail(node, f"expected at most {MAX_LIST} items, got {len(node.elts)}")
            return None
        items = [self.visit(element, depth) for element in node.elts]
        known = [element for element in items if element is not None]
        if item is None or len(known) < len(items):
            return None
        for element, typed in zip(node.elts, known, strict=True):
            if typed.type != item.type:
                self.fail(element, f"expected a {item.type} as on the left, got a {typed.type}")
                return None
        unknown = comparisons.unknown_item(item, known)
        if unknown is not None:
            self.fail(node.elts[unknown[0]], unknown[1])
        return made(ast.Tuple([element.tree for element in known], ast.Load()), item.type, *known)
