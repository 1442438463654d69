"""``trainwarden rules match``: which rules does each line of a log match."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stream.cli.lines import STDIN, read_lines
from stream.cli.options import fail

if TYPE_CHECKING:
    from stream.diagnose.lines import LineJudge
    from stream.rulelang.model import Rule

_LOUD: Final = ("warning", "critical")
_SHOWN: Final = 160
_AT_ONCE: Final = 256


def match_file(path: Path, judge: LineJudge, as_json: bool) -> bool:
    """Print what each line matches; True where a rule of warning or above did."""
    show = _show_json if as_json else _show_text
    try:
        return show(_judged(path, judge))
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        fail(f"cannot read {path}: {error.strerror}")


def _judged(path: Path, judge: LineJudge) -> Iterator[tuple[str, list[Rule]]]:
    lines = read_lines(path)
    # Somebody may be waiting for what comes after each line of stdin; files are faster many lines at a time.
    while some := list(islice(lines, 1 if path == STDIN else _AT_ONCE)):
        yield from zip(some, judge.judge(some), strict=True)
        sys.stdout.flush()


def _loud(rules: list[Rule]) -> bool:
    return rules[0].severity in _LOUD


def _show_json(judged: Iterable[tuple[str, list[Rule]]]) -> bool:
    out, loud = sys.stdout, False
    for number, (_, rules) in enumerate(judged, 1):
        if not rules:
            out.write(f'{{"line": {number}, "rules": [], "category": null}}\n')
            continue
        loud = loud or _loud(rules)
        names = [rule.id for rule in rules]
        out.write(json.dumps({"line": number, "rules": names, "category": rules[0].category}) + "\n")
    return loud


def _show_text(judged: Iterable[tuple[str, list[Rule]]]) -> bool:
    from rich.console import Console
    from rich.text import Text

    console, loud, matched, number = Console(soft_wrap=True, highlight=False), False, 0, 0
    styles = {"critical": "bold red", "warning": "yellow", "info": "cyan"}
    for number, (line, rules) in enumerate(judged, 1):
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
