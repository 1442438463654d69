"""What the parts of the expression checker share."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Protocol

from stream.rulelang.scope import Scope


@dataclass(frozen=True)
class Typed:
    """A checked expression, ready for the compiler. ``windowed``: some window is read in it."""

    tree: ast.expr
    type: str
    windowed: bool = False


class ExpressionError(ValueError):
    """One mistake; ``line`` (from 1) and ``column`` (from 0) are inside the expression's text."""

    def __init__(self, line: int, column: int, message: str) -> None:
        self.line = line
        self.column = column
        super().__init__(message)


class Checking(Protocol):
    """A checker at work, as its helpers see it."""

    scope: Scope

    def fail(self, node: ast.AST, message: str) -> None:
        """Record a mistake at this node."""

    def visit(self, node: ast.expr, depth: int) -> Typed | None:
        """The checked node, or None after its mistakes were recorded."""

    def want(self, node: ast.expr, expected: str, depth: int) -> Typed | None:
        """The checked node if it has this type."""


def dotted(node: ast.expr) -> str | None:
    """``a.b.c`` as one name, or None where it is more than names and dots."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join([node.id, *reversed(parts)])
