"""Log rules: a pass over many lines says whether any pattern matches at all, one over a line says which.

Both run in linear time (RE2). Looking at many lines at once, joined by newlines, saves the cost of a call
for each, so that lines nobody cares about are cheap; only around a hit each is looked at alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import re2

from stream.rulelang.logs import options
from stream.rulelang.model import Rule

Matches: TypeAlias = "Mapping[str, Mapping[str, str]]"
"""The named groups of the first pattern that matches, by id of each rule that matches."""

MAX_LINE: Final = 16_384
"""Characters of a line that the patterns see."""
_SET_MEMORY: Final = 64 << 20
_MANY: Final = 256
_FEW: Final = 16
_NOTHING: Final[Matches] = {}

_COLOUR: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

# These mean the ends of the whole text even where `m` is on, so lines cannot be joined under them.
_WHOLE_TEXT: Final = re.compile(r"\\[Az]|\(\?[a-zA-Z]*-[a-zA-Z]*m")


class LogMatcher:
    """All patterns of all log rules, compiled once."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._owners: list[tuple[str, Any, bool]] = []
        patterns: list[str] = []
        for rule in rules:
            for benign, texts in ((False, rule.log.match), (True, rule.log.unless)) if rule.log else ():
                patterns.extend(texts)
                self._owners.extend((rule.id, re2.compile(text, options()), benign) for text in texts)
        self._set = _compiled(patterns) if patterns else None
        wanted = [text for text, owner in zip(patterns, self._owners, strict=True) if not owner[2]]
        joinable = wanted and not any(_WHOLE_TEXT.search(text) for text in wanted)
        self._joined = _compiled([f"(?m:{text})" for text in wanted]) if joinable else None

    def match(self, line: str) -> Matches:
        """The rules that this line matches."""
        if self._set is None:
            return _NOTHING
        encoded = _plain(line)[:MAX_LINE].encode("utf-8", "replace")
        if self._joined is not None and not self._joined.Match(encoded):
            return _NOTHING
        hits = self._set.Match(encoded)
        return self._named(encoded, sorted(hits)) if hits else _NOTHING

    def match_all(self, lines: Sequence[str]) -> list[Matches]:
        """What ``match`` gives for each of these lines, faster."""
        found: list[Matches] = []
        for many in _parts(lines, _MANY):
            if self._quiet(many):
                found += [_NOTHING] * len(many)
                continue
            for few in _parts(many, _FEW):
                found += [_NOTHING] * len(few) if self._quiet(few) else [self.match(line) for line in few]
        return found

    def _quiet(self, lines: Sequence[str]) -> bool:
        """Whether surely none matches: joined lines match where one of them does, seldom where none does."""
        if self._joined is None:
            return self._set is None
        return not self._joined.Match("\n".join(lines).encode("utf-8", "replace"))

    def _named(self, encoded: bytes, hits: list[int]) -> Matches:
        text = encoded.decode("utf-8")
        owners = [self._owners[hit] for hit in hits]
        benign = {rule_id for rule_id, _, unless in owners if unless}
        found: dict[str, Mapping[str, str]] = {}
        for rule_id, pattern, _ in owners:
            if rule_id not in benign and rule_id not in found:
                found[rule_id] = _groups(pattern, text)
        return found


def _plain(line: str) -> str:
    """The line without the colours of a terminal."""
    return _COLOUR.sub("", line) if "\x1b" in line else line


def _parts(lines: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(lines), size):
        yield lines[start : start + size]


def _compiled(patterns: Sequence[str]) -> Any:
    found = re2.Set.SearchSet(options(_SET_MEMORY))
    for pattern in patterns:
        found.Add(pattern)
    found.Compile()
    return found


def _groups(pattern: Any, text: str) -> dict[str, str]:
    if not pattern.groups:
        return {}
    named = pattern.search(text).groupdict()
    return {name: value for name, value in named.items() if value is not None}
