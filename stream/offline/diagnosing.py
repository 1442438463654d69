"""All paths of a user through the rules: what is printed, and what the exit code will say."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from emitter.vocabulary.diagnoses import FIRING, INFO
from stream.offline.asleep import asleep, names_of, told
from stream.offline.errors import OfflineError, ReadError
from stream.offline.finding import Group, find
from stream.offline.replay import Finding, Replay
from stream.rulelang.model import RuleSet


@dataclass(frozen=True)
class Options:
    """What the user asked for."""

    run: str | None = None
    as_json: bool = False
    all_states: bool = False
    experimental: bool = False


class Diagnosing:
    """Prints findings to stdout and everything else to stderr.

    ``loud``: something of warning or above was found; ``failed``: something could not be read.
    """

    def __init__(self, rules: RuleSet, options: Options) -> None:
        self.loud = False
        self.failed = False
        self._rules = rules
        self._options = options
        self._said: set[str] = set()
        self._seen: dict[str, set[str]] = {}

    def run(self, paths: Iterable[Path]) -> None:
        """Read everything; what cannot be read is said, and the rest goes on."""
        problems: list[OfflineError] = []
        groups = find(paths, self._options.run, problems)
        self._tell(problems)
        for group in groups:
            self._group(group)
        if self._seen:
            for line in told(asleep(self._rules, self._seen, self._options.experimental), self._seen):
                self._say(line)

    def _group(self, group: Group) -> None:
        options = self._options
        replay = Replay(group, self._rules, run=options.run, experimental=options.experimental)
        if options.as_json:
            self._print_json(replay)
        else:
            from stream.offline.report import Report

            report = Report(replay, all_states=options.all_states)
            for finding in replay:
                self._note(finding)
                report.add(finding)
            report.print()
        self._tell(replay.problems)
        seen = names_of(replay.totals.values(), replay.lines)
        if skipped := replay.skipped.about(seen):
            self._say(str(skipped))
        for event, names in seen.items():
            self._seen.setdefault(event, set()).update(names)

    def _print_json(self, replay: Replay) -> None:
        for finding in replay:
            self._note(finding)
            if finding.diagnosis.state == FIRING or self._options.all_states:
                sys.stdout.write(json.dumps(finding.to_json(), allow_nan=False) + "\n")
                sys.stdout.flush()
            self._tell(replay.problems)

    def _note(self, finding: Finding) -> None:
        self.loud |= finding.diagnosis.severity != INFO and finding.diagnosis.state == FIRING

    def _tell(self, problems: list[OfflineError]) -> None:
        for problem in problems:
            self.failed |= isinstance(problem, ReadError)
            self._say(str(problem))
        problems.clear()

    def _say(self, text: str) -> None:
        """One line on stderr; the same is said once."""
        if text not in self._said:
            self._said.add(text)
            sys.stderr.write(f"trainwarden: {text}\n")
