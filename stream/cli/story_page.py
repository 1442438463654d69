"""Prints the story of a command, an incident or a diagnosis."""

from __future__ import annotations

import json
from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from stream.cli.incident_page import incident_of
from stream.ledger.book import Record
from stream.ledger.story import Story

_STYLES = {
    "firing": "red", "resolved": "green", "held": "yellow", "succeeded": "green", "failed": "red",
    "rejected": "red", "expired": "red", "approve": "cyan", "approved": "cyan", "reject": "cyan",
}  # fmt: skip


def show(story: Story) -> None:
    """On stdout."""
    Console(soft_wrap=False, highlight=False).print(Group(*_parts(story)))


def _parts(story: Story) -> Iterator[RenderableType]:
    yield Text(f"{story.kind} {story.id}", style="bold")
    for incident in story.incidents:
        yield from incident_of(incident)
    for diagnosis in story.diagnoses:
        if diagnosis["state"] == "firing":
            yield from _diagnosis(diagnosis)
    for command in story.commands:
        yield from _command(command)
    yield Text("")
    yield Text("timeline", style="bold")
    yield _timeline(story)


def _diagnosis(diagnosis: Record) -> Iterator[RenderableType]:
    where = f" on rank {diagnosis['rank']}" if diagnosis.get("rank") is not None else ""
    step = f", step {diagnosis['step']}" if diagnosis.get("step") is not None else ""
    yield Text("")
    yield Text.assemble(("seen      ", "bold"), f"{diagnosis['summary']}{where}{step}")
    yield Text.assemble(
        ("rule      ", "bold"), diagnosis["rule"],
        (f"  version {diagnosis.get('rule_version') or 'unknown'}, {diagnosis.get('severity')}", "dim"),
    )  # fmt: skip
    if diagnosis.get("evidence"):
        yield Text.assemble(("evidence  ", "bold"), _facts(diagnosis["evidence"]))


def _command(command: Record) -> Iterator[RenderableType]:
    yield Text("")
    yield Text.assemble(("command   ", "bold"), f"{command['action']} ", (str(command["id"]), "dim"))
    args = {name: value for name, value in (command.get("args") or {}).items() if value is not None}
    if args:
        yield Text.assemble(("args      ", "bold"), _facts(args))
    yield Text.assemble(
        ("for       ", "bold"), f"{command['run']}, attempt {command.get('attempt', 0)}",
        (f"  issued {command['issued']}, expires {command['expires']}", "dim"),
    )  # fmt: skip
    summary = (command.get("reason") or {}).get("summary")
    if summary:
        yield Text.assemble(("because   ", "bold"), str(summary))


def _timeline(story: Story) -> RenderableType:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for entry in story.timeline():
        style = _STYLES.get(entry.what, "default")
        table.add_row(
            entry.time[:23].replace("T", " "), entry.kind, Text(entry.what, style=style), Text(entry.text)
        )
    if not table.row_count:
        return Padding(Text("nothing yet", style="dim"), (0, 0, 0, 2))
    return table


def _facts(values: Record) -> str:
    return ", ".join(
        f"{name} {value if isinstance(value, (str, int, float)) else json.dumps(value)}"
        for name, value in values.items()
    )
