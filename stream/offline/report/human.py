"""The report of one group of files, for a terminal of any width, with or without colour."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from emitter.vocabulary.diagnoses import FIRING, WARNING, Diagnosis
from stream.offline.asleep import asleep, names_of, rules_told
from stream.offline.replay import Finding, Replay
from stream.offline.report.margins import margins
from stream.offline.report.sparkline import sparkline
from stream.offline.report.strips import Strip, Strips
from stream.offline.totals import RunTotals
from stream.rulelang.model import Action, Rule

MAX_DETAILS: Final = 1000
MAX_AGAIN: Final = 8
_STYLES: Final = {"critical": "bold red", "warning": "yellow", "info": "cyan"}
_LABEL: Final = 9
_MAX_WIDTH: Final = 110


@dataclass
class _Found:
    """The findings of one rule: the first in full, the others by their place."""

    first: Diagnosis
    strip: Strip | None
    strip_name: str
    count: int = 0
    again: list[str] = field(default_factory=list)
    ended: str = ""


class Report:
    """Collects the findings of a replay; prints them when it is over."""

    def __init__(self, replay: Replay, *, all_states: bool = False) -> None:
        self._replay = replay
        self._all_states = all_states
        self._rules = {rule.id: rule for rule in replay.rules.rules}
        self._strips = Strips(_pictured(replay.rules.rules))
        replay.on_points = self._strips.see
        self._found: dict[tuple[str, str], _Found] = {}

    def add(self, finding: Finding) -> None:
        """Take one transition."""
        one = finding.diagnosis
        key = (one.run, one.rule)
        known = self._found.get(key)
        if one.state != FIRING:
            if known is not None and known.first.id == one.id:
                known.ended = f"{_place(one, finding.timed)} ({one.evidence.get('reason', 'resolved')})"
        elif known is None:
            strip, name = self._strip(one)
            self._found[key] = _Found(one, strip, name, 1)
        else:
            known.count += 1
            if len(known.again) < MAX_AGAIN:
                known.again.append(_short_place(one, known.first))

    def _strip(self, one: Diagnosis) -> tuple[Strip | None, str]:
        rule = self._rules.get(one.rule)
        if rule is None or rule.log is not None:
            return None, ""
        for name in one.evidence:
            strip = self._strips.cut((one.run, one.rank or 0, rule.on), name, one.step)
            if strip is not None and len(strip.values) > 1:
                return strip, name
        return None, ""

    def print(self, console: Console | None = None) -> None:
        """Write the report to stdout."""
        console = console or Console(highlight=False)
        console = console if console.width <= _MAX_WIDTH else Console(highlight=False, width=_MAX_WIDTH)
        seen = names_of(self._replay.totals.values(), self._replay.lines)
        awake = len(self._replay.rules.rules) - len(asleep(self._replay.rules, seen))
        for totals in self._replay.totals.values():
            found = [one for (run, _), one in self._found.items() if run == totals.run]
            console.print(_headline(totals, found, awake, self._replay.lines), soft_wrap=False)
            for one in found:
                console.print(Padding(self._detail(one), (0, 0, 1, 2)))

    def _detail(self, found: _Found) -> Table:
        one, rule = found.first, self._rules.get(found.first.rule)
        table = Table.grid(padding=(0, 1, 0, 0))
        table.add_column(width=_LABEL, style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        head = Text(one.severity, style=_STYLES.get(one.severity, "")), Text(one.summary, style="bold")
        table.add_row(*head)
        table.add_row("rule", f"{one.rule} ({one.category})")
        table.add_row("where", _place(one, self._replay.timed))
        if rule is not None:
            for line in _sure(rule, one):
                table.add_row("sure", line)
        if found.strip is not None:
            table.add_row("series", _picture(found.strip, found.strip_name))
        if "text" in one.evidence:
            table.add_row("line", Text(str(one.evidence["text"]).strip()[:300]))
        if found.ended and (self._all_states or "ended" not in found.ended):
            table.add_row("until", found.ended)
        if found.count > 1:
            more = found.count - 1 - len(found.again)
            table.add_row("again", "; ".join(found.again) + (f"; and {more} more" if more else ""))
        for index, suggestion in enumerate(one.suggestions):
            table.add_row("do" if not index else "", Text(f"- {suggestion}"))
        if rule is not None and rule.then:
            table.add_row("actions", ", ".join(_action(action) for action in rule.then))
        return table


def _pictured(rules: Iterable[Rule]) -> set[str]:
    programs = [rule.program for rule in rules if rule.program is not None and rule.log is None]
    return {name for program in programs for name in program.shown}


def _headline(totals: RunTotals, found: list[_Found], awake: int, lines: int) -> Text:
    line = Text(totals.run, style="bold")
    read = totals.said(lines)
    if not found:
        return line.append(f": nothing found in {read} by {rules_told(awake)}\n", style="not bold")
    counts = dict.fromkeys(_STYLES, 0)
    for one in found:
        counts[one.first.severity] = counts.get(one.first.severity, 0) + one.count
    told = ", ".join(_counted(count, severity) for severity, count in counts.items() if count)
    return line.append(f": {told} in {read} by {rules_told(awake)}\n", style="not bold")


def _counted(count: int, severity: str) -> str:
    return f"{count} {severity}{'s' * (severity == WARNING and count > 1)}"


def _place(one: Diagnosis, timed: bool) -> str:
    parts = []
    if one.rank is not None:
        parts.append(f"rank {one.rank}")
    if one.step is not None:
        parts.append(f"step {one.step}")
    if one.epoch is not None:
        parts.append(f"epoch {one.epoch:g}")
    if one.attempt:
        parts.append(f"attempt {one.attempt}")
    if one.line is not None:
        parts.append(f"{Path(one.file).name} line {one.line}" if one.file else f"line {one.line}")
    if timed:
        parts.append(one.time[:19].replace("T", " "))
    return ", ".join(parts)


def _short_place(one: Diagnosis, first: Diagnosis) -> str:
    rank = f"rank {one.rank} " if one.rank != first.rank else ""
    attempt = f"attempt {one.attempt} " if one.attempt != first.attempt else ""
    where = f"line {one.line}" if one.line is not None and one.step is None else f"step {one.step}"
    return f"{attempt}{rank}{where}"


def _sure(rule: Rule, one: Diagnosis) -> list[str]:
    lines = margins(rule, one.evidence)
    since = one.evidence.get("since_step")
    if rule.for_count > 1 or rule.for_s:
        lasted = f"{rule.for_count} in a row" if rule.for_count > 1 else f"for {rule.for_s:g} s"
        lines.append(f"{lasted}, since step {since}" if since is not None else lasted)
    return lines


def _picture(strip: Strip, name: str) -> Text:
    values = strip.values
    finite = [value for value in values if value - value == 0]
    span = f"  {name} {min(finite):.4g} to {max(finite):.4g}" if finite else f"  {name}"
    return Text(sparkline(values, strip.mark), no_wrap=True, overflow="ellipsis").append(span, style="dim")


def _action(action: Action) -> str:
    arguments = ", ".join(f"{name} {value}" for name, value in action.args.items())
    later = f" after {action.if_unresolved_s:g} s unresolved" if action.if_unresolved_s is not None else ""
    return f"{action.name}{f' ({arguments})' if arguments else ''}{later}"
