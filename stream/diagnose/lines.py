"""Which log rules a single line matches, without any history: what ``rules match`` answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from emitter.vocabulary import events as words
from stream.diagnose.logmatch import LogMatcher, Matches
from stream.diagnose.reading import reader
from stream.events import Event, Resource
from stream.rulelang.model import Rule, RuleSet

_STRENGTH: Final[Mapping[str, int]] = {"critical": 0, "warning": 1, "info": 2}
_NOBODY: Final = Resource(run="")


class LineJudge:
    """The log rules of a set, each looking at one line alone.

    Windows are ignored: a ``when`` that needs one, or peers, counts as true. So do ``for``,
    ``inhibited_by`` and everything else that needs more than the line.
    """

    def __init__(self, rules: RuleSet, *, experimental: bool = False) -> None:
        active = [rule for rule in rules.rules if rule.log and (experimental or rule.maturity == "stable")]
        active.sort(key=lambda rule: _STRENGTH[rule.severity])
        self._matcher = LogMatcher(active)
        self._rules = {rule.id: rule for rule in active}
        self._read = {rule.id: reader(rule.program.slots) for rule in active if rule.program is not None}

    def judge(self, lines: Sequence[str]) -> list[list[Rule]]:
        """For each line the rules it matches, strongest first: by severity, then causes, then pack order."""
        found = self._matcher.match_all(lines)
        return [
            self._strongest(line, matches) if matches else []
            for line, matches in zip(lines, found, strict=True)
        ]

    def _strongest(self, line: str, matches: Matches) -> list[Rule]:
        event = Event(words.LOG, 0, body=line)
        return [
            rule
            for name, rule in self._rules.items()
            if name in matches and self._holds(rule, event, matches)
        ]

    def _holds(self, rule: Rule, event: Event, matches: Matches) -> bool:
        program = rule.program
        if program is None:
            return True
        slots = self._read[rule.id](event, _NOBODY, matches[rule.id])
        if slots is None or (program.where is not None and not program.where(slots)):
            return False
        return bool(program.windows or program.peers) or program.when(slots, (), ())
