"""``trainwarden runs``: what ran, how it went, and where its time was spent."""

from __future__ import annotations

import json
from enum import Enum
from typing import Annotated

import typer

from stream.cli import command_lines
from stream.cli.finding import Places
from stream.cli.options import AsJson, ClickHouse, clickhouse_of

app = typer.Typer(help="Runs: how they stand, and where their time was spent.", no_args_is_help=True)


class State(str, Enum):
    """How a run stands."""

    running = "running"
    finished = "finished"
    failed = "failed"
    killed = "killed"
    unknown = "unknown"


@app.command("list")
def list_runs(
    context: typer.Context,
    pattern: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]", help="Only runs of such an id or name: `gpt-*`.", show_default=False
        ),
    ] = None,
    state: Annotated[list[State] | None, typer.Option(help="Only these; may be given again.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Only runs heard of in the last 7d, 12h, ...")
    ] = None,
    limit: Annotated[int, typer.Option(help="At most so many, the newest.", min=1, max=1000)] = 30,
    clickhouse: ClickHouse = None,
    as_json: AsJson = False,
) -> None:
    """List runs, the newest first: state, last step, attempts, goodput, incidents."""
    from stream.cli import run_listing
    from stream.history.standing import Wanted

    wanted = Wanted(
        pattern=pattern, states=tuple(one.value for one in state or ()), limit=limit,
        seconds=None if since is None else command_lines.seconds("--since", since),
    )  # fmt: skip
    with Places(context, None, clickhouse_of(clickhouse)).asking() as ask:
        found = run_listing.listed(ask, wanted)
    if as_json:
        typer.echo(json.dumps(found))
    elif found:
        run_listing.shown(found)
    else:
        typer.echo("no runs", err=True)


@app.command("show")
def show_run(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run's id or name.")],
    clickhouse: ClickHouse = None,
    as_json: AsJson = False,
) -> None:
    """Show one run: its attempts, where its time went, what was found, how it recovered."""
    from stream.cli import run_page

    with Places(context, None, clickhouse_of(clickhouse)).asking() as ask:
        found = run_page.gathered(ask, run)
    if as_json:
        typer.echo(json.dumps(found))
    else:
        run_page.shown(found)
