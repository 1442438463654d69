"""The answer for a person, at any width."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stream.explain.answers import Answer, Moment

MAX_LISTED: Final = 8
_WIDTH: Final = 110


def show(answer: Answer) -> None:
    """Write it to stdout."""
    console = Console(highlight=False)
    console = console if console.width <= _WIDTH else Console(highlight=False, width=_WIDTH)
    console.print(Text.assemble((answer.rule, "bold"), f" in {answer.run}: {answer.summary}"))
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(width=11, style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for moment in answer.moments[:MAX_LISTED]:
        _moment(table, "here", moment)
    if answer.step is None:
        _overall(table, answer)
    for note in answer.notes:
        table.add_row("note", Text(note))
    console.print(table)


def _overall(table: Table, answer: Answer) -> None:
    if answer.outcomes:
        table.add_row("outcomes", ", ".join(f"{name} {count:,}" for name, count in answer.outcomes.items()))
    for name, count in answer.missing.items():
        table.add_row("missing", Text(f"`{name}` in {count:,} records"))
    for text, count in list(answer.failed.items())[:MAX_LISTED]:
        table.add_row("failed", Text(f"{text} ({count:,} times)"))
    for name, count in answer.inhibited_by.items():
        table.add_row("quiet", Text(f"kept quiet by {name} {count:,} times"))
    if answer.not_full:
        table.add_row("windows", f"not full before {answer.not_full:,} samples")
    for one in answer.firings[:MAX_LISTED]:
        table.add_row("fired", Text(f"{_place(one['rank'], one['step'], one['time'])}: {one['summary']}"))
    if len(answer.firings) > MAX_LISTED:
        table.add_row("", f"and {len(answer.firings) - MAX_LISTED} more")
    if answer.nearest is not None:
        _moment(table, "nearest", answer.nearest)


def _moment(table: Table, label: str, moment: Moment) -> None:
    where = _place(moment.rank, moment.step, moment.time)
    table.add_row(label, Text(f"{where}: {moment.why}"))
    for condition in moment.conditions:
        mark = {True: "yes", False: "no ", None: "?  "}[condition["holds"]]
        table.add_row("", Text(f"{mark} {condition['shown']}"))
    if moment.values and not moment.conditions:
        table.add_row("", Text(", ".join(f"{name} {value}" for name, value in moment.values.items())))


def _place(rank: int | None, step: int | None, time: str | None) -> str:
    parts = [f"rank {rank}"] if rank is not None else []
    parts += [f"step {step}"] if step is not None else []
    parts += [time[:19].replace("T", " ")] if time else []
    return ", ".join(parts) or "by the clock"
