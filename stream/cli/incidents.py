"""``trainwarden incidents`` and ``trainwarden silences``."""

from __future__ import annotations

import json
import time
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from stream.cli import command_lines, words
from stream.cli.commands import Key, Reason, RunOption, Wait
from stream.cli.finding import Places
from stream.cli.options import FOUND, USAGE, AsJson, ClickHouse, Kafka, fail

app = typer.Typer(help="Incidents: what went wrong, what was done, what it cost.", no_args_is_help=True)
silences = typer.Typer(help="Silences: where nothing is to be done for a while.", no_args_is_help=True)


class Which(str, Enum):
    """Which incidents are listed."""

    open = "open"
    closed = "closed"
    all = "all"


@app.command("list")
def list_incidents(
    context: typer.Context,
    which: Annotated[Which, typer.Option("--state", help="open, closed or all.")] = Which.all,
    run: RunOption = None,
    limit: Annotated[int, typer.Option(help="At most so many, the newest.", min=1)] = 50,
    kafka: Kafka = None,
    clickhouse: ClickHouse = None,
    as_json: AsJson = False,
) -> None:
    """List incidents, the newest first; exit 1 where one is open."""
    from stream.cli import incident_page
    from stream.history import ledger

    state = None if which is Which.all else which.value
    book = Places(context, kafka, clickhouse).rows(ledger.incidents(state, run, limit))
    found = [
        one
        for one in sorted(book.incidents.values(), key=lambda one: str(one.get("began")), reverse=True)
        if (run is None or run in (one["run"], one.get("run_name")))
        and (state is None or (one.get("ended") is None) == (state == "open"))
    ][:limit]
    if as_json:
        typer.echo(json.dumps(found))
    elif found:
        incident_page.listed(found)
    else:
        typer.echo("no incidents", err=True)
    if any(one.get("ended") is None for one in found):
        raise typer.Exit(FOUND)


@app.command("show")
def show_incident(
    context: typer.Context,
    identity: Annotated[str, typer.Argument(metavar="ID", help="The incident's id, or how it begins.")],
    kafka: Kafka = None,
    clickhouse: ClickHouse = None,
    as_json: AsJson = False,
) -> None:
    """Show one incident: its cause, symptoms, actions, cost and timeline."""
    from stream.cli import incident_page
    from stream.ledger.story import resolve

    book = Places(context, kafka, clickhouse).about(identity)
    incident = book.incidents[resolve(book, identity, "incident", book.incidents)]
    if as_json:
        typer.echo(json.dumps(incident))
    else:
        incident_page.shown(incident)


@silences.command("add")
def add_silence(
    context: typer.Context,
    run: RunOption = None,
    rule: Annotated[
        str | None, typer.Option(help="Only of this rule; patterns as of a shell.", show_default=False)
    ] = None,
    lasting: Annotated[str, typer.Option("--for", metavar="DURATION", help="How long.")] = "1h",
    comment: Annotated[str | None, typer.Option(help="Why, for the ledger.", show_default=False)] = None,
    key: Key = None,
    wait: Wait = 15.0,
    kafka: Kafka = None,
    as_json: AsJson = False,
) -> None:
    """Do nothing and tell nobody about a run, a rule, or a rule in a run, until a time."""
    from stream.ledger import words as said

    if run is None and rule is None:
        fail("expected --run or --rule: a silence of everything is `--rule '*'`", USAGE)
    ends = time.time_ns() + int(command_lines.seconds("--for", lasting) * 1e9)
    word = said.silence(said.author(), ends, run, rule, comment)
    words.say(Places(context, kafka, None).broker, word, key, wait, as_json)


@silences.command("list")
def list_silences(
    context: typer.Context, kafka: Kafka = None, clickhouse: ClickHouse = None, as_json: AsJson = False
) -> None:
    """List the silences that hold now."""
    from stream.history import ledger
    from stream.ledger import silence

    found = silence.holding(Places(context, kafka, clickhouse).rows(ledger.silences()), time.time_ns())
    if as_json:
        typer.echo(json.dumps(found))
        return
    if not found:
        typer.echo("no silences", err=True)
    for one in found:
        about = " ".join(f"{name} {one[name]}" for name in ("run", "rule") if one.get(name))
        line = f"{one['id']}  until {one['ends']}  {about}  by {one['author']}  {one.get('comment') or ''}"
        typer.echo(line.rstrip())


@silences.command("end")
def end_silence(
    context: typer.Context,
    identity: Annotated[str, typer.Argument(metavar="ID", help="The silence's id.")],
    reason: Reason = None,
    key: Annotated[Path | None, typer.Option(help="Private key of the operator.", show_default=False)] = None,
    wait: Wait = 15.0,
    kafka: Kafka = None,
    as_json: AsJson = False,
) -> None:
    """End a silence now."""
    from stream.ledger import words as said

    word = said.unsilence(said.author(), identity, reason)
    words.say(Places(context, kafka, None).broker, word, key, wait, as_json)
