"""``trainwarden rules match``: which rules does each line of a log match."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stream.cli.lines import STDIN, read_lines
from stream.cli.options import fail

if TYPE_CHECKING:
    from stream.diagnose.lines import LineJudge
    from stream.rulelang.model import Rule

_LOUD: Final = ("warning", "critical")
_SHOWN: Final = 160


def match_file(path: Path, judge: LineJudge, as_json: bool) -> bool:
    """Print what each line matches; True where a rule of warning or above did."""
    show = _show_json if as_json else _show_text
    try:
        return show(read_lines(path), judge, path == STDIN)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        fail(f"cannot read {path}: {error.strerror}")


def _loud(rules: list[Rule]) -> bool:
    return bool(rules) and rules[0].severity in _LOUD


def _show_json(lines: Iterable[str], judge: LineJudge, live: bool) -> bool:
    out, loud = sys.stdout, False
    for number, line in enumerate(lines, 1):
        rules = judge.judge(line)
        loud = loud or _loud(rules)
        names = [rule.id for rule in rules]
        category = rules[0].category if rules else None
        out.write(json.dumps({"line": number, "rules": names, "category": category}) + "\n")
        if live:
            out.flush()
    return loud


def _show_text(lines: Iterable[str], judge: LineJudge, _live: bool) -> bool:
    from rich.console import Console
    from rich.text import Text

    console, loud, matched, number = Console(soft_wrap=True, highlight=False), False, 0, 0
    styles = {"critical": "bold red", "warning": "yellow", "info": "cyan"}
    for number, line in enumerate(lines, 1):
        rules = judge.judge(line)
        if not rules:
            continue
        matched += 1
        loud = loud or _loud(rules)
        first = rules[0]
        head = Text.assemble(
            f"{number:>7}  ", (f"{first.severity:<8}", styles[first.severity]), f"  {first.category}  ",
            (", ".join(rule.id for rule in rules), "bold"),
        )  # fmt: skip
        console.print(head)
        console.print(Text("         " + _printable(line), style="dim"))
    print(f"{matched} of {number} lines match a rule", file=sys.stderr)  # noqa: T201 - our own words go to stderr
    return loud


def _printable(line: str) -> str:
    """The head of the line without what could move a terminal's cursor."""
    head = "".join(char if char.isprintable() else " " for char in line[:_SHOWN])
    return head + ("…" if len(line) > _SHOWN else "")
