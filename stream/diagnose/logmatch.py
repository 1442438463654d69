"""Log rules: a pass over many lines says whether any pattern matches at all, one over a line says which.

Both run in linear time (RE2). Looking at many lines at once, joined by newlines, saves the cost of a call
for each, so that lines nobody cares about are cheap; only around a hit each is looked at alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final, TypeAlias

import re2

from stream.rulelang.logs import options
from stream.rulelang.model import LogMatch, Rule

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
    """All patterns of all log rules, compiled at the first line, once for all who have the same rules."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._logs = tuple((rule.id, rule.log) for rule in rules if rule.log is not None)
        self._known: dict[str, Matches] = {}

    @cached_property
    def _compiled(self) -> _Compiled:
        return _compiled(self._logs)

    def match(self, line: str) -> Matches:
        """The rules that this line matches."""
        if not self._logs:
            return _NOTHING
        known = self._known.get(line)
        if known is not None:
            return known
        compiled = self._compiled
        encoded = _plain(line)[:MAX_LINE].encode("utf-8", "replace")
        if compiled.joined is not None and not compiled.joined.hits(encoded):
            return _NOTHING
        hits = compiled.all.hits(encoded)
        return _named(compiled.owners, encoded, hits) if hits else _NOTHING

    def look_ahead(self, lines: Sequence[str]) -> None:
        """Match these lines together, because ``match`` will be asked for them; forgets those of before."""
        self._known = {}
        self._known = dict(zip(lines, self.match_all(lines), strict=True))

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
        if not self._logs:
            return True
        joined = self._compiled.joined
        text = _plain("\n".join(lines)).encode("utf-8", "replace")
        return joined is not None and not joined.hits(text)


def _plain(text: str) -> str:
    """The text without the colours of a terminal."""
    return _COLOUR.sub("", text) if "\x1b" in text else text


@dataclass(frozen=True)
class _Owner:
    """A pattern of a rule."""

    rule: str
    text: str
    unless: bool

    @cached_property
    def pattern(self) -> Any:
        """Compiled: only for its named groups, so only after a hit."""
        return re2.compile(self.text, options())


@dataclass(frozen=True)
class _Compiled:
    """``all``: every pattern, for one line. ``joined``: those of ``match``, for lines joined by newlines."""

    owners: tuple[_Owner, ...]
    all: _Set
    joined: _Set | None


@lru_cache(maxsize=8)
def _compiled(logs: tuple[tuple[str, LogMatch], ...]) -> _Compiled:
    owners = [
        _Owner(rule_id, text, unless)
        for rule_id, log in logs
        for unless, texts in ((False, log.match), (True, log.unless))
        for text in texts
    ]
    wanted = [owner.text for owner in owners if not owner.unless]
    joinable = not any(_WHOLE_TEXT.search(text) for text in wanted)
    joined = _Set([f"(?m:{text})" for text in wanted]) if joinable else None
    return _Compiled(tuple(owners), _Set([owner.text for owner in owners]), joined)


class _Set:
    """Patterns looked for in one pass, or in a few where there are too many for one."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._parts = list(_sets(patterns, 0))

    def hits(self, encoded: bytes) -> list[int]:
        """The patterns that match, in their order."""
        found: list[int] = []
        for first, part in self._parts:
            found += sorted(first + hit for hit in part.Match(encoded) or ())
        return found


def _sets(patterns: Sequence[str], first: int) -> Iterator[tuple[int, Any]]:
    found = re2.Set.SearchSet(options(_SET_MEMORY))
    for pattern in patterns:
        found.Add(pattern)
    try:
        found.Compile()
    except re2.error:
        # Any one pattern fits: it was compiled alone, in less memory, when its rule was read.
        middle = len(patterns) // 2
        yield from _sets(patterns[:middle], first)
        yield from _sets(patterns[middle:], first + middle)
    else:
        yield first, found


def _named(owners: Sequence[_Owner], encoded: bytes, hits: list[int]) -> Matches:
    text = encoded.decode("utf-8")
    hit = [owners[index] for index in hits]
    benign = {owner.rule for owner in hit if owner.unless}
    found: dict[str, Mapping[str, str]] = {}
    for owner in hit:
        if owner.rule not in benign and owner.rule not in found:
            found[owner.rule] = _groups(owner.pattern, text)
    return found


def _parts(lines: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(lines), size):
        yield lines[start : start + size]


def _groups(pattern: Any, text: str) -> dict[str, str]:
    if not pattern.groups:
        return {}
    named = pattern.search(text).groupdict()
    return {name: value for name, value in named.items() if value is not None}
