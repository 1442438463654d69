"""The text of a rule with the hash of its version, and what its runbook says to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Final

from stream import resources
from stream.rulelang import RuleError, RuleErrors, RuleSet, load_texts, read_texts
from stream.rulelang.model import Rule
from stream.rulelang.runbooks import path_beside, suggestions

MOST: Final = 6
"""Rules of one report."""
_SAMPLES = re.compile(r"^( +)tests:.*\n(?:(?:\1[ -].*|[ \t]*)(?:\n|\Z))*", re.MULTILINE)
_ACTIONS = re.compile(r"^## What the actions do\n+(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class RuleText:
    """A rule that fired. ``fired``: the version that did; ``version``: that of ``text``, None where it is
    not known. ``samples``: so many were left out of the text.
    """

    id: str
    fired: str
    version: str | None = None
    text: str = ""
    samples: int = 0
    file: str = ""
    runbook: str | None = None
    to_do: tuple[str, ...] = ()
    actions: str = ""

    @property
    def in_force(self) -> bool:
        """Whether the text is that of the version that fired."""
        return self.version is not None and self.version == self.fired


class Shelf:
    """The rules at hand: texts by the path of their file, and what they add up to."""

    def __init__(self, texts: Mapping[str, str], rules: RuleSet) -> None:
        self._texts, self._rules = texts, rules

    @classmethod
    def of_files(cls, paths: Sequence[Path] | None, params: Mapping[str, float] | None = None) -> Shelf:
        """Of these packs, the shipped ones where none are named. Raises RuleErrors."""
        errors: list[RuleError] = []
        texts = read_texts(list(paths or [resources.path("rules")]), errors)
        if errors:
            raise RuleErrors(errors)
        return cls(texts, load_texts(texts, params))

    def find(self, rule_id: str, fired: str) -> RuleText:
        """The rule of this id, as far as it is at hand."""
        rule = self._rules.by_id(rule_id)
        if rule is None:
            return RuleText(rule_id, fired)
        page = self._texts.get(path_beside(rule.file, rule.runbook)) if rule.runbook else None
        text = self._text(rule)
        return RuleText(
            rule_id, fired, rule.version, _SAMPLES.sub("", text + "\n").rstrip(), len(rule.tests),
            Path(rule.file).name, rule.runbook, suggestions(page or ""), _said(page or ""),
        )  # fmt: skip

    def all(self, fired: Iterable[tuple[str, str]]) -> list[RuleText]:
        """Those that fired, each once, the first few."""
        return [self.find(rule, version) for rule, version in list(dict.fromkeys(fired))[:MOST]]

    def _text(self, rule: Rule) -> str:
        """As it stands in its file: from its own line to that of the next rule."""
        lines = self._texts[rule.file].splitlines()
        later = [one.line for one in self._rules.rules if one.file == rule.file and one.line > rule.line]
        end = min(later, default=len(lines) + 1)
        return dedent("\n".join(lines[rule.line - 1 : end - 1])).rstrip()


def _said(page: str) -> str:
    found = _ACTIONS.search(page)
    return " ".join(found[1].split()) if found else ""
