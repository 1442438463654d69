"""Expressions: a small, typed part of Python's grammar, checked completely and rewritten for the compiler.

Nothing reaches the compiler that is not built here, node by node: arithmetic, comparison, and/or/not,
``a if b else c``, constants, known names and listed functions. There is no attribute access (a dotted
name is one name of the vocabulary), no indexing, no power, no loop, no other call.
"""

from __future__ import annotations

import ast
import warnings
from typing import Final

from stream.rulelang import functions
from stream.rulelang.calls import check_call
from stream.rulelang.errors import guess
from stream.rulelang.functions import BOOL, NUMBER, TEXT
from stream.rulelang.generate import call, local, slot_value
from stream.rulelang.scope import Scope
from stream.rulelang.typed import ExpressionError, Typed, dotted

MAX_LENGTH: Final = 2000
MAX_DEPTH: Final = 40
MAX_LIST: Final = 100

_ARITHMETIC: Final = (ast.Add, ast.Sub, ast.Mult)
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
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            # The parentheses let an expression go over several lines; they shift the first by one.
            return ast.parse(f"({text}\n)", mode="eval").body
    except SyntaxError as error:
        raise ExpressionError(*_where(text, error), f"not an expression: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ExpressionError(1, 0, f"not an expression: {error or 'nested too deep'}") from None


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
            return Typed(ast.Constant(value), BOOL)
        if isinstance(value, str):
            return Typed(ast.Constant(value), TEXT)
        if isinstance(value, (int, float)):
            try:
                return Typed(ast.Constant(float(value)), NUMBER)
            except OverflowError:
                self.fail(node, "the number is too large")
                return None
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
            return Typed(local(name), scope.lets[name], name in scope.let_windows)
        if name in scope.params:
            scope.used.add(name)
            return Typed(ast.Constant(scope.params[name]), NUMBER)
        if name in scope.fields:
            field = scope.fields[name]
            scope.used.add(name)
            return Typed(slot_value(scope.slot(field.slot)), field.type)
        self.fail(node, self._unknown(name))
        return None

    def _unknown(self, name: str) -> str:
        hint = guess(name, self.scope.known())
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
        windowed = left.windowed or right.windowed
        if isinstance(node.op, _ARITHMETIC):
            return Typed(ast.BinOp(left.tree, node.op, right.tree), NUMBER, windowed)
        name = "divide" if isinstance(node.op, ast.Div) else "remainder"
        return Typed(call(name, left.tree, right.tree), NUMBER, windowed)

    def _unaryop(self, node: ast.UnaryOp, depth: int) -> Typed | None:
        if isinstance(node.op, ast.Invert):
            self._refuse(node, node.op)
            return None
        expected = BOOL if isinstance(node.op, ast.Not) else NUMBER
        operand = self.want(node.operand, expected, depth)
        return operand and Typed(ast.UnaryOp(node.op, operand.tree), expected, operand.windowed)

    def _boolop(self, node: ast.BoolOp, depth: int) -> Typed | None:
        parts = [self.want(value, BOOL, depth) for value in node.values]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        tree = ast.BoolOp(node.op, [part.tree for part in known])
        return Typed(tree, BOOL, any(part.windowed for part in known))

    def _ifexp(self, node: ast.IfExp, depth: int) -> Typed | None:
        test = self.want(node.test, BOOL, depth)
        body, other = self.visit(node.body, depth), self.visit(node.orelse, depth)
        if test is None or body is None or other is None:
            return None
        if body.type != other.type:
            self.fail(node.orelse, f"expected a {body.type} as on the other side, got a {other.type}")
            return None
        windowed = test.windowed or body.windowed or other.windowed
        return Typed(ast.IfExp(test.tree, body.tree, other.tree), body.type, windowed)

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
        return Typed(tree, BOOL, any(side.windowed for side in known))

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
        return side

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
        return Typed(ast.Tuple([element.tree for element in known], ast.Load()), item.type)
