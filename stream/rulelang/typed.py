"""A checked expression and what is known of it."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace

from stream.rulelang.fields import Field
from stream.rulelang.generate import local
from stream.rulelang.ranges import ANY, Range


@dataclass(frozen=True)
class Typed:
    """A checked expression, ready for the compiler.

    ``depth``: how many windows are nested in it; ``peers``: other ranks are asked; ``literal``: it is made
    of constants alone; ``params``: a param is in it; ``range``: what values it can have; ``field``: the
    field that it is, where it is just that.
    """

    tree: ast.expr
    type: str
    depth: int = 0
    peers: bool = False
    literal: bool = False
    params: bool = False
    range: Range = ANY
    field: Field | None = None

    @property
    def windowed(self) -> bool:
        """Whether a window is read in it."""
        return self.depth > 0


def made(tree: ast.expr, kind: str, *parts: Typed, range: Range = ANY) -> Typed:
    """An expression of these parts."""
    return Typed(
        tree,
        kind,
        max((part.depth for part in parts), default=0),
        any(part.peers for part in parts),
        bool(parts) and all(part.literal for part in parts),
        any(part.params for part in parts),
        range,
    )


def renamed(typed: Typed, name: str) -> Typed:
    """The same value, read from the local variable of a ``let``."""
    return replace(typed, tree=local(name))


class ExpressionError(ValueError):
    """One mistake; ``line`` (from 1) and ``column`` (from 0) are inside the expression's text."""

    def __init__(self, line: int, column: int, message: str) -> None:
        self.line = line
        self.column = column
        super().__init__(message)


def dotted(node: ast.expr) -> str | None:
    """``a.b.c`` as one name, or None where it is more than names and dots."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join([node.id, *reversed(parts)])
