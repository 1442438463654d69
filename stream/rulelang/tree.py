"""YAML with positions: scalars, lists and mappings that know their line and column.

Stricter than YAML where YAML surprises: duplicate keys, anchors, aliases, tags, several documents and
oversized files are mistakes. Scalars follow YAML 1.2's core schema, so ``on`` and ``no`` are words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeAlias

import yaml

from stream.rulelang.errors import Problems

MAX_BYTES: Final = 12_000_000
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
    builder = _Builder(text, problems)
    try:
        root = builder.document(yaml.parse(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problems.add(line, column, f"not YAML: {error.problem or error.context}{_hint(text, line)}")
        return None
    except yaml.YAMLError as error:
        problems.add(1, 1, f"not YAML: {str(error).splitlines()[0] if str(error) else 'unreadable'}")
        return None
    except _Refused as refused:
        problems.add(*refused.args)
        return None
    return root


def _hint(text: str, line: int) -> str:
    found = next(islice(text.split("\n"), line - 1, None), "")
    return "; indent with spaces, not with tabs" if "\t" in found[: len(found) - len(found.lstrip())] else ""


class _Refused(Exception):  # noqa: N818 - it carries a mistake, it is none of ours
    """YAML that we do not take: line, column, message."""

    def __init__(self, event: Any, message: str) -> None:
        super().__init__(event.start_mark.line + 1, event.start_mark.column + 1, message)


class _Builder:
    """Builds the tree from YAML's events as they come: nothing is shared, nothing is nested deep."""

    def __init__(self, text: str, problems: Problems) -> None:
        self._text = text
        self._lines: list[str] | None = None
        self._problems = problems

    def document(self, events: Iterator[Any]) -> Node:
        """The only document; nothing at all counts as an empty one."""
        root: Node | None = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise _Refused(event, "a second document is not allowed in a rule file")
                root = self._node(next(events), events, 1)
        return Scalar(None, "", 1, 1) if root is None else root

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            raise _Refused(event, "anchors and aliases are not allowed in a rule file")
        if event.tag:
            raise _Refused(event, "tags are not allowed in a rule file")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if depth > MAX_DEPTH:
            raise _Refused(event, f"nesting deeper than {MAX_DEPTH} levels is not allowed in a rule file")
        mark = event.start_mark
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(mark, events, depth)
        items = []
        while not isinstance(item := next(events), yaml.SequenceEndEvent):
            items.append(self._node(item, events, depth + 1))
        return List(tuple(items), mark.line + 1, mark.column + 1)

    def _mapping(self, mark: Any, events: Iterator[Any], depth: int) -> Mapping:
        values: dict[str, Node] = {}
        keys: dict[str, Scalar] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._node(event, events, depth + 1)
            value = self._node(next(events), events, depth + 1)
            if not isinstance(key, Scalar):
                message = "expected a word as a key, got a list or a mapping"
                self._problems.add(key.line, key.column, message)
            elif key.text in keys:
                message = f'the key "{key.text}" is there twice; first in line {keys[key.text].line}'
                self._problems.add(key.line, key.column, message)
            else:
                keys[key.text], values[key.text] = key, value
        return Mapping(values, keys, mark.line + 1, mark.column + 1)

    def _scalar(self, event: Any) -> Scalar:
        start, text, style = event.start_mark, event.value, event.style or None
        value = text if style else _core(text)
        line = start.line + 1
        indent = self._indent(line) if style == "|" else 0
        return Scalar(value, text, line, start.column + 1, style, event.end_mark.line + 1, indent)

    def _indent(self, line: int) -> int:
        if self._lines is None:
            self._lines = self._text.split("\n")
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
