"""``trainwarden rules show``: everything about one rule."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markdown import Markdown
from rich.syntax import Syntax

from stream.cli.rule_listing import as_json as summary_of

if TYPE_CHECKING:
    from stream.rulelang import Rule, RuleSet


def as_json(rule: Rule, rules: RuleSet) -> dict[str, Any]:
    """Everything as one object."""
    return {
        **summary_of(rule), "line": rule.line, "text": _text(rule, rules), "reads": _reads(rule),
        "params": dict(rule.params), "inhibits": _inhibits(rule, rules),
        "samples": [{"name": sample.name, "fires": bool(sample.expect)} for sample in rule.tests],
        "runbook": rule.runbook, "suggestions": list(rule.suggestions),
    }  # fmt: skip


def show(rule: Rule, rules: RuleSet) -> None:
    """Everything for a person to read."""
    console = Console()
    console.print(f"[bold]{rule.id}[/]  {rule.category}  {rule.severity}  {rule.maturity}", highlight=False)
    console.print(f"{rule.file}:{rule.line}", style="dim", highlight=False, markup=False)
    for name, value in _facts(rule, rules):
        console.print(f"{name:<13} {value}", highlight=False, markup=False)
    console.print()
    console.print(Syntax(_text(rule, rules), "yaml", background_color="default", word_wrap=True))
    page = _runbook(rule)
    if page:
        console.print()
        console.print(Markdown(page))


def _facts(rule: Rule, rules: RuleSet) -> Iterator[tuple[str, str]]:
    yield "reads", ", ".join(_reads(rule)) or "nothing"
    if rule.params:
        yield "params", ", ".join(f"{name} = {value:g}" for name, value in rule.params.items())
    if rule.inhibited_by:
        yield "inhibited by", ", ".join(rule.inhibited_by)
    if quiet := _inhibits(rule, rules):
        yield "inhibits", ", ".join(quiet)
    fires = sum(bool(sample.expect) for sample in rule.tests)
    yield "samples", f"{fires} that fire, {len(rule.tests) - fires} that do not"
    yield "runbook", rule.runbook or "none"
    yield "version", rule.version


def _reads(rule: Rule) -> list[str]:
    """What it looks at: the event, then the fields of it and of other events."""
    if rule.absent is not None:
        return [f"{rule.absent.of} (its absence)"]
    program = rule.program
    if program is None:
        return [rule.on]
    own = [f"{slot.name} (optional)" if slot.optional else slot.name for slot in program.slots]
    joined = [f"{spec.event}.{slot.name}" for spec in program.windows if spec.event for slot in spec.slots]
    return list(dict.fromkeys([rule.on, *own, *joined]))


def _inhibits(rule: Rule, rules: RuleSet) -> list[str]:
    return [other.id for other in rules.rules if rule.id in other.inhibited_by]


def _text(rule: Rule, rules: RuleSet) -> str:
    """The rule as it stands in its file: from its own line to that of the next rule."""
    lines = Path(rule.file).read_text(encoding="utf-8").splitlines()
    later = [other.line for other in rules.rules if other.file == rule.file and other.line > rule.line]
    end = min(later, default=len(lines) + 1)
    return dedent("\n".join(lines[rule.line - 1 : end - 1])).rstrip()


def _runbook(rule: Rule) -> str:
    if not rule.runbook:
        return ""
    page = Path(rule.file).parent / "runbooks" / rule.runbook
    return page.read_text(encoding="utf-8") if page.is_file() else ""
