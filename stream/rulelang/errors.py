"""Mistakes in rule files: each has an address, and all of them come at once.

ValueError
 └── RuleErrors      every mistake of one load
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, order=True)
class RuleError:
    """One mistake; ``line`` and ``column`` count from 1."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class RuleErrors(ValueError):  # noqa: N818 - the name says that it holds all of them
    """Everything that is wrong with the rule files, in the order of the files."""

    def __init__(self, errors: Iterable[RuleError]) -> None:
        self.errors = tuple(sorted(set(errors)))
        super().__init__("\n".join(str(error) for error in self.errors))


@dataclass
class Problems:
    """Collects the mistakes of one file while reading goes on; ``rule`` names the rule being read."""

    file: str
    errors: list[RuleError] = field(default_factory=list)
    rule: str | None = None

    def add(self, line: int, column: int, message: str) -> None:
        """Record a mistake at this place (both from 1)."""
        prefix = f'rule "{self.rule}": ' if self.rule else ""
        self.errors.append(RuleError(self.file, line, column, prefix + message))


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that a typo was likely meant to be, or None."""
    near = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return near[0] if near else None


def guess(word: str, known: Iterable[str]) -> str:
    """``; did you mean "x"?`` for a likely typo, else nothing."""
    near = nearest(word, known)
    return f'; did you mean "{near}"?' if near else ""


def one_of(words: Iterable[str]) -> str:
    """The words as a list for a message."""
    return ", ".join(sorted(words))
