"""Which log rules a single line matches, without any history: what ``rules match`` answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from emitter.vocabulary import events as words
from stream.diagnose.logmatch import LogMatcher
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

    def judge(self, line: str) -> list[Rule]:
        """The rules that the line matches, strongest first: by severity, then in the order of the packs."""
        found = self._matcher.match(line)
        if not found:
            return []
        event = Event(words.LOG, 0, body=line)
        return [
            rule for name, rule in self._rules.items() if name in found and self._holds(rule, event, found)
        ]

    def _holds(self, rule: Rule, event: Event, found: Mapping[str, Mapping[str, str]]) -> bool:
        program = rule.program
        if program is None:
            return True
        slots = self._read[rule.id](event, _NOBODY, found[rule.id])
        if slots is None or (program.where is not None and not program.where(slots)):
            return False
        return bool(program.windows or program.peers) or program.when(slots, (), ())
