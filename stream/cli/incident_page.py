"""Prints incidents: a table of many, or all of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from stream.ledger.book import Record

_STYLES: Final = {
    "open": "red", "acting": "yellow", "waiting": "bold yellow", "settling": "green", "escalated": "bold red",
    "resolved": "green", "failed": "red", "ended": "dim",
}  # fmt: skip


def listed(incidents: Sequence[Record]) -> None:
    """A table on stdout, the newest first."""
    table = Table("incident", "began", "run", "state", "cause", "actions", box=None, pad_edge=False)
    for column in table.columns[:2]:
        column.no_wrap = True
    for incident in incidents:
        cause = incident.get("cause") or {}
        table.add_row(
            str(incident["id"])[:12],
            str(incident.get("began") or "")[:19].replace("T", " "),
            Text(str(incident.get("run_name") or incident["run"])),
            Text(str(incident["state"]), style=_STYLES.get(str(incident["state"]), "default")),
            Text(": ".join(filter(None, (cause.get("rule"), cause.get("summary"))))),
            Text(", ".join(_action(one) for one in incident.get("actions") or ())),
        )
    Console(highlight=False).print(table)


def shown(incident: Record) -> None:
    """All of one, on stdout."""
    Console(highlight=False).print(
        Group(Text(f"incident {incident['id']}", style="bold"), *incident_of(incident, True))
    )


def incident_of(incident: Record, timeline: bool = False) -> Iterator[RenderableType]:
    """The lines of one incident."""
    state, cost = str(incident["state"]), incident.get("cost") or {}
    yield Text.assemble(
        ("run       ", "bold"),
        f"{incident.get('run_name') or incident['run']}, attempt {incident.get('attempt', 0)}",
    )
    outcome = f": {incident['outcome']}" if incident.get("outcome") else ""
    yield Text.assemble(("state     ", "bold"), (state, _STYLES.get(state, "default")), outcome)
    yield Text.assemble(
        ("from      ", "bold"), f"{incident.get('began')} to {incident.get('ended') or 'now'}"
    )
    yield from _members(incident)
    for action in incident.get("actions") or ():
        yield Text.assemble(
            ("action    ", "bold"), _action(action), (f"  {action.get('command') or ''}", "dim")
        )
    if cost:
        gpu_seconds = cost.get("gpu_seconds")
        yield Text.assemble(
            ("cost      ", "bold"),
            f"{cost.get('lost_steps', 0)} steps, {cost.get('lost_seconds', 0):g} s, "
            + ("GPUs unknown" if gpu_seconds is None else f"{gpu_seconds:g} GPU seconds"),
        )
    if timeline:
        yield Text("")
        yield Text("timeline", style="bold")
        for entry in incident.get("timeline") or ():
            yield Text.assemble(
                (entry["time"][:23].replace("T", " "), "dim"), f"  {entry['kind']:<10}  {entry['text']}"
            )


def _members(incident: Record) -> Iterator[RenderableType]:
    cause = incident.get("cause")
    if cause:
        yield Text.assemble(("cause     ", "bold"), f"{cause.get('rule')}: {cause.get('summary')}")
    for symptom in incident.get("symptoms") or ():
        yield Text.assemble(("symptom   ", "bold"), f"{symptom.get('rule')}: {symptom.get('summary')}")


def _action(action: Record) -> str:
    return f"{action.get('action')} {action.get('outcome') or action.get('state')}"
