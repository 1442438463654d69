"""Prints many runs as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stream import goodput
from stream.history import standing
from stream.history.ledger import Run
from stream.report.plain import terminal

STYLES: Final = {"running": "green", "finished": "default", "failed": "red", "killed": "red"}
NAME: Final = 60
"""Characters of a name in a table."""


def listed(ask: Run, wanted: standing.Wanted) -> list[standing.Found]:
    """The runs that are wanted, each with its goodput (a share of 1, None where nothing is known)."""
    found = standing.many(ask, wanted)
    spent = goodput.fleet(ask, [one["run"] for one in found]) if found else {}
    for one in found:
        one["goodput"] = round(spent[one["run"]].goodput, 4) if one["run"] in spent else None
    return found


def shown(runs: Sequence[standing.Found]) -> None:
    """A table on stdout."""
    table = Table("run", "name", "state", "step", "attempts", "goodput", "incidents", "started", "heard of",
                  box=None, pad_edge=False)  # fmt: skip
    for column in (3, 4, 5):
        table.columns[column].justify = "right"
    for run in runs:
        table.add_row(
            Text(terminal(run["run"], NAME)),
            Text(terminal(run["run_name"], NAME)),
            Text(run["state"], style=STYLES.get(run["state"], "dim")),
            step(run["last_step"]),
            str(run["attempts"]),
            share(run["goodput"]),
            incidents(run),
            when(run["started"]),
            when(run["last_time"]),
        )
    Console(highlight=False).print(table)


def step(value: int) -> str:
    """A step, a dash where there was none."""
    return "-" if value < 0 else f"{value:,}"


def share(value: float | None) -> str:
    """A share of 1 in per cent."""
    return "-" if value is None else f"{value:.1%}"


def when(moment: str) -> str:
    """A time to the second."""
    return moment[:19].replace("T", " ")


def incidents(run: dict[str, Any]) -> Text:
    """How many, and how many of them are open."""
    still = run["open_incidents"]
    return Text(
        f"{run['incidents']}, {still} open" if still else str(run["incidents"]), "red" if still else ""
    )
