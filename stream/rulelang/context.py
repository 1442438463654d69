"""What the reading of one file needs to know, and what it leaves for the check across all files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from stream.rulelang.params import Overriding
from stream.rulelang.tree import Node


@dataclass(frozen=True)
class Mention:
    """A rule's id where a rule is declared, or where ``inhibited_by`` names one."""

    rule: str
    name: str
    file: str
    line: int
    column: int


@dataclass
class Context:
    """One file of a pack. ``page`` gives the text of a file by its path, None where there is none.

    ``declared`` and ``causes`` hold what rules say of each other, also those with mistakes in them.
    """

    file: str
    page: Callable[[str], str | None]
    overriding: Callable[[str], Overriding]
    pack: str = "?"
    declared: list[Mention] = field(default_factory=list)
    causes: list[Mention] = field(default_factory=list)
    pages: dict[str, str] = field(default_factory=dict)

    def mention(self, kind: list[Mention], rule: str, node: Node, name: str) -> None:
        """Remember that ``name`` stands at this place of the rule."""
        kind.append(Mention(rule, name, self.file, node.line, node.column))
