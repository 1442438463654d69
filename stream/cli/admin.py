"""Commands for operators: topics, the history's schema, dashboards."""

from __future__ import annotations

import typer

from stream.cli.options import ClickHouse, clickhouse_of

topics = typer.Typer(help="Kafka topics: what is needed, and create it.", no_args_is_help=True)
database = typer.Typer(help="The history in ClickHouse.", no_args_is_help=True)
dashboards = typer.Typer(help="Grafana dashboards.", no_args_is_help=True)


@database.command()
def migrate(clickhouse: ClickHouse = None) -> None:
    """Bring the schema of the history up to date."""
    from stream.history.migrate import migrate as apply

    applied = apply(clickhouse_of(clickhouse))
    for name in applied:
        typer.echo(name)
    if not applied:
        typer.echo("up to date")
