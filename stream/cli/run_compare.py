"""``trainwarden runs compare``: two runs or more, side by side."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.options import USAGE, AsJson, ClickHouse, clickhouse_of, fail
from stream.cli.reporting import Force, FormatOption, Output, asking, form, precheck, put, sentences

if TYPE_CHECKING:
    from stream.report.comparing import Comparison


def register(runs: typer.Typer) -> None:
    """Add the command."""
    runs.command("compare")(compare)


def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Runs by id or name, two to eight.")],
    output: Output = None,
    wanted: FormatOption = None,
    force: Force = False,
    clickhouse: ClickHouse = None,
    as_json: AsJson = False,
) -> None:
    """Compare runs: how they went, their numbers at common steps, and where they part."""
    from stream.report import about_run, compared, comparing

    if not 2 <= len(runs) <= comparing.MOST_RUNS:
        fail(f"expected two to {comparing.MOST_RUNS} runs to compare, got {len(runs)}", USAGE)
    with sentences():
        precheck(output, force)
        with asking(clickhouse_of(clickhouse)) as ask:
            ids = list(dict.fromkeys(about_run.find(ask, run) for run in runs))
            if len(ids) < 2:
                fail(f"{' and '.join(runs)} are the same run, {ids[0]}: name two by their ids", USAGE)
            found = comparing.compare(ask, ids)
        if as_json:
            typer.echo(json.dumps(compared.to_json(found)))
        elif output is None and wanted is None:
            _show(found)
        else:
            suffix = form(output, wanted)
            put(compared.page(found, suffix), output, "comparison", suffix, force)


def _show(found: Comparison) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    from stream.report import sidebyside
    from stream.report.plain import terminal

    heads = [Column(Text(terminal(name, 60))) for name in sidebyside.titles(found.sides)]
    table = Table(Column(no_wrap=True), *heads, box=None)
    for heading, rows in [*sidebyside.sections(found), ("Loss at step", sidebyside.losses(found))]:
        table.add_row()
        table.add_row(Text(heading, style="bold"))
        for row in rows:
            style = "" if row.differs else "dim"
            cells = (Text(terminal(cell, 120), style=style) for cell in row.cells)
            table.add_row(Text(terminal(row.name, 60)), *cells)
    console = Console(highlight=False)
    console.print(table)
    console.print()
    for sentence in sidebyside.partings(found):
        console.print(Text(terminal(sentence, 400), style="bold"))
    console.print(Text(found.method, style="dim"))
