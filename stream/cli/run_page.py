"""Prints all that is known of one run: attempts, where its time went, diagnoses, incidents, last values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from stream import goodput
from stream.cli.run_listing import NAME, STYLES, share, step, when
from stream.history import standing
from stream.history.ledger import Run
from stream.ledger.runs import in_history
from stream.report.plain import terminal

_SUMMARY: Final = 160
_PARTS: Final = tuple(goodput.PARTS)
_LAST: Final = 40
"""So many of the last values are printed; --json has them all."""


def gathered(ask: Run, wanted: str) -> standing.Found:
    """Everything, as JSON has it. Raises NoRunError."""
    run = in_history(ask, wanted).id
    spent = goodput.goodput(ask, run)
    found = standing.one(ask, run)
    found["attempts"] = [
        standing.told(one) | (_told(spent.attempts[one["attempt"]]) if spent is not None else {})
        for one in goodput.attempts(ask, run)
    ]
    found["goodput"] = None if spent is None else _told(spent.whole)
    found["incidents"] = [standing.told(one) for one in goodput.recovery(ask, run)]
    found["recovery"] = dict(goodput.saves(ask, run))
    return found


def _told(spent: goodput.Spent) -> dict[str, Any]:
    numbers = {"wall": spent.wall, **spent.parts}
    return {name: round(value, 6) for name, value in numbers.items()} | {
        "goodput": round(spent.goodput, 6), "steps": spent.steps, "recomputed_steps": spent.recomputed_steps,
        "gpus": spent.gpus,
    }  # fmt: skip


def shown(run: standing.Found) -> None:
    """On stdout."""
    Console(highlight=False).print(Group(*_lines(run)))


def _lines(run: standing.Found) -> Iterator[RenderableType]:
    yield Text(terminal(run["run_name"] or run["run"]), style="bold")
    yield _field("id", terminal(run["run"]))
    yield Text.assemble(("state      ", "bold"), (run["state"], STYLES.get(run["state"], "dim")))
    yield _field("step", step(run["last_step"]))
    yield _field("from", f"{when(run['started'])} to {when(run['last_time'])}")
    yield _field("ranks", f"{run['ranks']} seen, world size {run['world_size']}")
    recovery = run["recovery"]
    yield _field("saves", f"{recovery['saves_succeeded']} of {recovery['saves']} succeeded")
    yield _field("restarts", f"{recovery['restarts_succeeded']} of {recovery['restarts']} succeeded")
    if run["goodput"] is not None:
        yield from _section("where the time went", _spent(run))
    if run["diagnoses"]:
        yield from _section("diagnoses", _diagnoses(run))
    if run["incidents"]:
        yield from _section("incidents", _incidents(run))
    if run["last"]:
        yield from _section("last values", _last(run["last"]))


def _field(name: str, value: str) -> Text:
    return Text.assemble((f"{name:<11}", "bold"), value)


def _section(title: str, table: RenderableType) -> Iterator[RenderableType]:
    yield Text("")
    yield Text(title, style="bold")
    yield table


def _spent(run: standing.Found) -> Table:
    """A row for each part, a column for each attempt (the newest few) and for the whole."""
    attempts = run["attempts"][-5:]
    several = len(run["attempts"]) > 1
    table = Table("", box=None, pad_edge=False)
    for one in attempts if several else ():
        table.add_column(f"attempt {one['attempt']}", justify="right")
    for title in ("whole run", "share"):
        table.add_column(title, justify="right")
    columns = [*attempts, run["goodput"]] if several else [run["goodput"]]
    whole = run["goodput"]["wall"] or 1.0
    for part in (*_PARTS, "wall"):
        cells = [lasting(one[part]) for one in columns]
        table.add_row(
            part.replace("_", " "), *cells, share(run["goodput"][part] / whole),
            style="bold" if part == "wall" else None,
        )  # fmt: skip
    again = [f"{one['steps']:,} ({one['recomputed_steps']:,} again)" for one in columns]
    table.add_row("steps", *again, "")
    table.add_row("goodput", *(share(one["goodput"]) for one in columns), "")
    return table


def _diagnoses(run: standing.Found) -> Table:
    table = Table("last", "times", "severity", "rule", "summary", box=None, pad_edge=False)
    for one in run["diagnoses"]:
        cells = (when(one["last"]), str(one["times"]), one["severity"], one["rule"])
        table.add_row(*(Text(terminal(cell)) for cell in cells), Text(terminal(one["summary"], _SUMMARY)))
    return table


def _incidents(run: standing.Found) -> Table:
    table = Table(
        "incident", "began", "state", "rule", "detect", "diagnose", "act", "recover", "lost", "GPU hours",
        box=None, pad_edge=False,
    )  # fmt: skip
    for one in run["incidents"]:
        hours = one["gpu_hours"]
        table.add_row(
            Text(terminal(one["id"][:12])), when(one["began"]), Text(terminal(one["state"])),
            Text(terminal(one["rule"], NAME)),
            *(lasting(one[name]) for name in ("detect", "diagnose", "act", "recover", "lost_seconds")),
            "-" if hours is None else f"{hours:.2f}",
        )  # fmt: skip
    return table


def _last(values: Mapping[str, Any]) -> Table:
    table = Table("name", "value", "at step", box=None, pad_edge=False)
    for name, one in list(values.items())[:_LAST]:
        value = one["value"] if isinstance(one["value"], str) else f"{one['value']:.6g}"
        table.add_row(Text(terminal(name, NAME)), value, step(one["step"]))
    if len(values) > _LAST:
        table.add_row(f"and {len(values) - _LAST} more (--json)", "", "")
    return table


def lasting(seconds: float | None) -> str:
    """A stretch of time, a dash where there was none."""
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
