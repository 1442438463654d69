"""``let`` values inside a condition: each computed when it is first read, or never.

``a and (b or c)`` reads what ``c`` names only where ``b`` fails. A name is kept once it was computed, so the
meaning is that of computing all in front; only the work is less.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any, Final

_PREFIX: Final = "_let_"
MOST_NODES: Final = 4_000
"""Of one condition; a larger one computes all its names in front."""


class TooLargeError(Exception):
    """The definitions would be repeated too often."""


def read_always(tree: ast.expr, lets: Mapping[str, ast.expr]) -> set[str]:
    """The lets that are read whenever ``tree`` is computed, directly or through others."""
    waiting, found = [tree], set[str]()
    while waiting:
        for node in _certain(waiting.pop()):
            name = let(node)
            if name is not None and name not in found:
                found.add(name)
                waiting.append(lets[name])
    return found


def _certain(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that are computed whenever ``tree`` is."""
    yield tree
    if isinstance(tree, ast.BoolOp):
        parts: list[ast.AST] = [tree.values[0]]
    elif isinstance(tree, ast.IfExp):
        parts = [tree.test]
    elif isinstance(tree, ast.Compare):
        parts = [tree.left, tree.comparators[0]]
    else:
        parts = list(ast.iter_child_nodes(tree))
    for part in parts:
        yield from _certain(part)


class Expander:
    """Copies expressions, with every let that is not ``ready`` computed where it is first read."""

    def __init__(self, lets: Mapping[str, ast.expr]) -> None:
        self._lets = lets
        self._room = MOST_NODES
        self.lazy: dict[str, None] = {}

    def expand(self, tree: ast.expr, ready: set[str]) -> ast.expr:
        """The copy. Raises TooLargeError."""
        copy: ast.expr = self._copy(tree, ready)
        return copy

    def _copy(self, node: Any, ready: set[str]) -> Any:
        self._room -= 1
        if self._room < 0:
            raise TooLargeError
        name = let(node)
        if name is not None and name not in ready:
            return self._once(name, ready)
        fields = {field: self._field(value, ready) for field, value in ast.iter_fields(node)}
        return type(node)(**fields)

    def _field(self, value: Any, ready: set[str]) -> Any:
        if isinstance(value, list):
            return [self._field(one, ready) for one in value]
        return self._copy(value, ready) if isinstance(value, ast.AST) else value

    def _once(self, name: str, ready: set[str]) -> ast.expr:
        self.lazy[name] = None
        definition = self._copy(self._lets[name], ready)
        variable = _PREFIX + name
        known = ast.Compare(ast.Name(variable, ast.Load()), [ast.IsNot()], [ast.Constant(None)])
        computed = ast.NamedExpr(ast.Name(variable, ast.Store()), definition)
        return ast.IfExp(known, ast.Name(variable, ast.Load()), computed)


def let(node: ast.AST) -> str | None:
    """The name of the ``let`` that a node reads."""
    if isinstance(node, ast.Name) and node.id.startswith(_PREFIX):
        return node.id[len(_PREFIX) :]
    return None
