"""Commands for operators: topics, the history's schema, dashboards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from stream.cli.options import FOUND, AsJson, ClickHouse, Kafka, clickhouse_of, fail, kafka_of

topics = typer.Typer(help="Kafka topics: what is needed, and create it.", no_args_is_help=True)
database = typer.Typer(help="The history in ClickHouse.", no_args_is_help=True)
dashboards = typer.Typer(help="Grafana dashboards.", no_args_is_help=True)

Partitions = Annotated[
    int | None,
    typer.Option(help="Partitions of the topics that share their number.", min=1, show_default=False),
]


def _age(milliseconds: int | None) -> str:
    if milliseconds is None:
        return "for ever"
    hours = milliseconds // 3_600_000
    return f"{hours // 24} d" if hours % 24 == 0 and hours > 24 else f"{hours} h"


@topics.command("plan")
def plan(partitions: Partitions = None, as_json: AsJson = False) -> None:
    """Show the topics that Trainwarden needs."""
    from stream import topics as kafka_topics

    rows = kafka_topics.plan(partitions or kafka_topics.DEFAULT_PARTITIONS)
    if as_json:
        typer.echo(
            json.dumps(
                [{"name": row.name, "partitions": row.partitions, "settings": row.settings()} for row in rows]
            )
        )
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("topic", "partitions", "kept", "clean-up")
    for row in rows:
        cleanup = "compacted" if row.compacted else "deleted"
        table.add_row(row.name, str(row.partitions), _age(row.retention_ms), cleanup)
    Console().print(table)


@topics.command("apply")
def apply(
    kafka: Kafka = None,
    partitions: Partitions = None,
    replication: Annotated[int, typer.Option(help="Replicas of each partition.", min=1)] = 1,
) -> None:
    """Create the topics that are missing; exit 1 if one exists in another form."""
    import asyncio

    from stream import topics as kafka_topics

    applied = asyncio.run(kafka_topics.apply(kafka_of(kafka), partitions, replication))
    for name in applied.created:
        typer.echo(f"created  {name}")
    for name in applied.kept:
        typer.echo(f"kept     {name}")
    for mismatch in applied.mismatched:
        typer.echo(f"mismatch {mismatch}")
    if applied.mismatched:
        raise typer.Exit(FOUND)


@database.command("migrate")
def migrate(clickhouse: ClickHouse = None) -> None:
    """Bring the schema of the history up to date."""
    from stream.history.migrate import migrate as bring_up_to_date

    applied = bring_up_to_date(clickhouse_of(clickhouse))
    for name in applied:
        typer.echo(name)
    if not applied:
        typer.echo("up to date")


@dashboards.command("build")
def build(
    out: Annotated[Path | None, typer.Option(help="Folder to write to.", show_default=False)] = None,
    check: Annotated[bool, typer.Option(help="Write nothing; exit 1 if a file is not fresh.")] = False,
) -> None:
    """Write the dashboards' JSON from their builders (needs a checkout and the extra `dashboards`)."""
    try:
        from dashboards import build as builder
    except ImportError as error:
        fail(str(error))
    folder = out or builder.GENERATED
    if not check:
        for path in builder.build(folder):
            typer.echo(path)
        return
    problems = builder.check(folder)
    for problem in problems:
        typer.echo(problem)
    raise typer.Exit(FOUND if problems else 0)
