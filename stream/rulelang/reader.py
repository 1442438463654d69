"""Typed reading of a mapping: every wrong value is one mistake with its place, and a default instead."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final, TypeVar

from stream.rulelang import durations
from stream.rulelang.errors import Problems, guess, one_of
from stream.rulelang.tree import List, Mapping, Node, Scalar, kind

IDENTIFIER: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")
T = TypeVar("T")


@dataclass
class Reader:
    """One mapping being read. ``what`` names it in messages."""

    node: Mapping
    problems: Problems
    what: str
    taken: set[str] = field(default_factory=set)

    def fail(self, node: Node, message: str) -> None:
        """Record a mistake at this node."""
        self.problems.add(node.line, node.column, message)

    def get(self, key: str) -> Node | None:
        """The value under this key, or None."""
        self.taken.add(key)
        return self.node.values.get(key)

    def required(self, key: str) -> Node | None:
        """The value under this key; a mistake if there is none."""
        node = self.get(key)
        if node is None:
            self.fail(self.node, f"{self.what} needs `{key}`")
        return node

    def typed(self, key: str, expected: type[T], wanted: str) -> T | None:
        """The node under this key if it is of this class of nodes."""
        node = self.get(key)
        if node is None or isinstance(node, expected):
            return node
        self.fail(node, f"expected `{key}` to be {wanted}, got {kind(node)}")
        return None

    def text(self, key: str, *, required: bool = False) -> Scalar | None:
        """A scalar that is a word or a sentence, not empty."""
        node = self.required(key) if required else self.get(key)
        if node is None:
            return None
        if isinstance(node, Scalar) and isinstance(node.value, str) and node.value.strip():
            return node
        self.fail(node, f"expected `{key}` to be a text, got {kind(node)}")
        return None

    def choice(self, key: str, options: Collection[str], default: T) -> str | T:
        """One of these words."""
        node = self.text(key)
        if node is None:
            return default
        if node.text not in options:
            self.fail(
                node,
                f'expected `{key}` to be one of {one_of(options)}, got "{node.text}"'
                f"{guess(node.text, options)}",
            )
            return default
        return node.text

    def duration(self, key: str, default: float = 0.0) -> float:
        """Seconds of a duration; a bare 0 is one too."""
        node = self.get(key)
        if node is None:
            return default
        seconds = as_duration(node)
        if seconds is None:
            self.fail(node, f"expected `{key}` to be {durations.EXPECTED}, got {kind(node)}")
            return default
        return seconds

    def texts(self, key: str) -> list[Scalar]:
        """A list of texts; one text alone counts as a list of one."""
        node = self.get(key)
        if node is None:
            return []
        items = node.items if isinstance(node, List) else (node,)
        if not items:
            self.fail(node, f"expected `{key}` to hold at least one item")
        found = []
        for item in items:
            if isinstance(item, Scalar) and isinstance(item.value, str) and item.value:
                found.append(item)
            else:
                self.fail(item, f"expected `{key}` to hold texts, got {kind(item)}")
        return found

    def identifier(self, key: str) -> str | None:
        """A required name in lower case with dashes."""
        node = self.text(key, required=True)
        if node is None:
            return None
        if not IDENTIFIER.match(node.text):
            self.fail(
                node, f'expected `{key}` in lower case with dashes, such as "loss-spike", got "{node.text}"'
            )
            return None
        return node.text

    def finish(self) -> None:
        """Record every key that nobody asked for."""
        for name, key in self.node.keys.items():
            if name not in self.taken:
                self.fail(key, f"{self.what} has no `{name}`{guess(name, self.taken)}")


def as_duration(node: Node) -> float | None:
    """Seconds of a duration node, or None where it is none."""
    if not isinstance(node, Scalar) or isinstance(node.value, bool):
        return None
    if node.value == 0 and isinstance(node.value, (int, float)):
        return 0.0
    return durations.parse(node.value) if isinstance(node.value, str) else None
