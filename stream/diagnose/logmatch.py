"""Log rules: one pass of a set of patterns says which rules can match a line at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import re2

from stream.rulelang.logs import options
from stream.rulelang.model import Rule

MAX_LINE: Final = 16_384
_SET_MEMORY: Final = 64 << 20


class LogMatcher:
    """All patterns of all log rules, compiled once."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._owners: list[tuple[str, Any, bool]] = []
        self._set = re2.Set.SearchSet(options(_SET_MEMORY))
        for rule in rules:
            if rule.log is None:
                continue
            for benign, patterns in ((False, rule.log.match), (True, rule.log.unless)):
                for pattern in patterns:
                    self._set.Add(pattern)
                    self._owners.append((rule.id, re2.compile(pattern, options()), benign))
        if self._owners:
            self._set.Compile()

    def match(self, line: str) -> dict[str, Mapping[str, str]]:
        """The named groups of the first pattern that matches, by id of each rule that matches the line."""
        if not self._owners:
            return {}
        text = line[:MAX_LINE].encode("utf-8", "replace").decode("utf-8")
        hits = sorted(self._set.Match(text) or ())
        benign = {self._owners[hit][0] for hit in hits if self._owners[hit][2]}
        found: dict[str, Mapping[str, str]] = {}
        for hit in hits:
            rule_id, pattern, _ = self._owners[hit]
            if rule_id not in benign and rule_id not in found:
                found[rule_id] = _groups(pattern, text)
        return found


def _groups(pattern: Any, text: str) -> dict[str, str]:
    if not pattern.groups:
        return {}
    named = pattern.search(text).groupdict()
    return {name: value for name, value in named.items() if value is not None}
