"""The expression checker as its helpers see it."""

from __future__ import annotations

import ast
from typing import Protocol

from stream.rulelang.scope import Scope
from stream.rulelang.typed import Typed


class Checking(Protocol):
    """A checker at work, as its helpers see it."""

    scope: Scope

    def fail(self, node: ast.AST, message: str) -> None:
        """Record a mistake at this node."""

    def visit(self, node: ast.expr, depth: int) -> Typed | None:
        """The checked node, or None after its mistakes were recorded."""

    def want(self, node: ast.expr, expected: str, depth: int) -> Typed | None:
        """The checked node if it has this type."""
