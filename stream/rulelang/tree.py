"""YAML with positions: scalars, lists and mappings that know their line and column.

Stricter than YAML where YAML surprises: duplicate keys, anchors, aliases, tags, several documents and
oversized files are mistakes. Scalars follow YAML 1.2's core schema, so ``on`` and ``no`` are words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import yaml

from stream.rulelang.errors import Problems

MAX_BYTES: Final = 4_000_000
MAX_DEPTH: Final = 20

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT = re.compile(r"[-+]?[0-9]{1,18}\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,4})?\Z")


@dataclass(frozen=True)
class Scalar:
    """One value; ``value`` is str, int, float, bool or None. ``style`` is YAML's (None, ', ", |, >).

    ``end_line`` is the line of its last character, ``block_indent`` the indentation of a literal block.
    """

    value: Any
    text: str
    line: int
    column: int
    style: str | None = None
    end_line: int = 0
    block_indent: int = 0


@dataclass(frozen=True)
class List:
    """A sequence."""

    items: tuple[Node, ...]
    line: int
    column: int


@dataclass(frozen=True)
class Mapping:
    """A mapping with string keys, in the order of the file; ``keys`` holds the keys' own places."""

    values: dict[str, Node]
    keys: dict[str, Scalar]
    line: int
    column: int


Node: TypeAlias = "Scalar | List | Mapping"


def kind(node: Node) -> str:
    """What a node is, for messages: ``the number 3``, ``a list``, ..."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, List):
        return "a list"
    if node.value is None:
        return "nothing"
    if isinstance(node.value, bool):
        return node.text
    if isinstance(node.value, (int, float)):
        return f"the number {node.text}"
    return f'"{node.text[:60]}"'


def plain(node: Node) -> Any:
    """The node as plain Python data."""
    if isinstance(node, Mapping):
        return {key: plain(value) for key, value in node.values.items()}
    if isinstance(node, List):
        return [plain(item) for item in node.items]
    return node.value


def parse(text: str, problems: Problems) -> Node | None:
    """The tree of one document, or None where the text is not YAML (the mistake is in ``problems``)."""
    if len(text) > MAX_BYTES:
        problems.add(1, 1, f"expected a file of at most {MAX_BYTES:,} characters, got {len(text):,}")
        return None
    try:
        _refuse_sharing(text, problems)
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problems.add(line, column, f"not YAML: {error.problem or error.context}")
        return None
    except (yaml.YAMLError, RecursionError) as error:
        problems.add(1, 1, f"not YAML: {str(error).splitlines()[0] if str(error) else 'nested too deep'}")
        return None
    if problems.errors:
        return None
    return Scalar(None, "", 1, 1) if root is None else _Converter(text.split("\n"), problems).convert(root)


def _refuse_sharing(text: str, problems: Problems) -> None:
    """Anchors and aliases can make a small file huge; depth can exhaust the stack of the composer."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        what = f"nesting deeper than {MAX_DEPTH} levels is" if depth > MAX_DEPTH else ""
        if getattr(event, "anchor", None):
            what = "anchors and aliases are"
        elif getattr(event, "tag", None):
            what = "tags are"
        if what:
            mark: Any = event.start_mark
            problems.add(mark.line + 1, mark.column + 1, f"{what} not allowed in a rule file")
            return


class _Converter:
    def __init__(self, lines: list[str], problems: Problems) -> None:
        self._lines = lines
        self._problems = problems

    def convert(self, node: Any) -> Node:
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, line, column)
        if isinstance(node, yaml.SequenceNode):
            return List(tuple(self.convert(item) for item in node.value), line, column)
        return self._mapping(node, line, column)

    def _mapping(self, node: Any, line: int, column: int) -> Mapping:
        values: dict[str, Node] = {}
        keys: dict[str, Scalar] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key is None:
                continue
            if key.text in keys:
                first = keys[key.text].line
                message = f'the key "{key.text}" is there twice; first in line {first}'
                self._problems.add(key.line, key.column, message)
                continue
            keys[key.text] = key
            values[key.text] = self.convert(value_node)
        return Mapping(values, keys, line, column)

    def _key(self, node: Any) -> Scalar | None:
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        if not isinstance(node, yaml.ScalarNode):
            self._problems.add(line, column, "expected a word as a key, got a list or a mapping")
            return None
        return Scalar(node.value, node.value, line, column, node.style)

    def _scalar(self, node: Any, line: int, column: int) -> Scalar:
        text: str = node.value
        value = text if node.style else _core(text)
        indent = self._indent(line) if node.style == "|" else 0
        return Scalar(value, text, line, column, node.style, node.end_mark.line + 1, indent)

    def _indent(self, line: int) -> int:
        first = next((text for text in self._lines[line:] if text.strip()), "")
        return len(first) - len(first.lstrip(" "))


def _core(text: str) -> Any:
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE"):
        return True
    if text in ("false", "False", "FALSE"):
        return False
    if _INT.match(text):
        return int(text)
    return float(text) if _FLOAT.match(text) else text
