"""From a place inside an expression to its place in the file."""

from __future__ import annotations

from stream.rulelang.tree import Scalar


def place(node: Scalar, line: int, column: int) -> tuple[int, int]:
    """The file's line and column (from 1) of a line (from 1) and column (from 0) of the node's text.

    Exact for text on one line and for literal blocks (``|``) indented by two; the start of the value
    for text that YAML folded or unescaped.
    """
    if node.style == "|":
        return node.line + line, node.block_indent + column + 1
    one_line = node.end_line == node.line and "\n" not in node.text
    if not one_line or node.style == ">":
        return node.line, node.column
    quote = 1 if node.style in ("'", '"') else 0
    return node.line, node.column + quote + column
