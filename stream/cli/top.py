"""``trainwarden top``: running runs in the terminal, as they go."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from stream.cli.finding import Places
from stream.cli.options import AsJson, ClickHouse, clickhouse_of


def top(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Print one table and end.")] = False,
    every: Annotated[float, typer.Option(metavar="SECONDS", help="How often to look.", min=0.5)] = 2.0,
    limit: Annotated[int, typer.Option(help="At most so many runs, the newest.", min=1, max=200)] = 20,
    clickhouse: ClickHouse = None,
    as_json: AsJson = False,
) -> None:
    """Watch running runs: step, loss, steps per second, goodput, last diagnosis, GPU use; Ctrl-C ends."""
    from stream.cli import top_page

    with Places(context, None, clickhouse_of(clickhouse)).asking() as ask:
        if as_json:
            typer.echo(json.dumps(top_page.gathered(ask, limit)))
        elif once or not sys.stdout.isatty():
            top_page.printed(ask, limit)
        else:
            top_page.live(ask, limit, every)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(top)
