"""``trainwarden doctor``: what is wrong with an installation, and how to mend it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from emitter.vocabulary import stack as discovery
from stream.cli.diagnose import load
from stream.cli.options import FOUND, USAGE, AsJson, ClickHouse, Kafka, Rules, fail

if TYPE_CHECKING:
    from stream.doctor import Finding

_MARKS = {
    "ok": "[green]ok[/]",
    "skipped": "[dim]--[/]",
    "warning": "[yellow]warning[/]",
    "error": "[red]error[/]",
}


def doctor(
    kafka: Kafka = None,
    clickhouse: ClickHouse = None,
    endpoint: Annotated[
        str | None,
        typer.Option(help="Where emitters send: http://HOST:PORT.", envvar=discovery.ENV_ENDPOINT),
    ] = None,
    rules: Rules = None,
    since: Annotated[str, typer.Option(help="How far back the history is looked at, such as 7d.")] = "7d",
    as_json: AsJson = False,
) -> None:
    """Check broker, topics, workers, gateway, ClickHouse, clocks, timeouts, keys and silent rules.

    Nothing is changed. Exit 1 if something should be mended; each line says how.
    """
    from stream.doctor import Places, examine
    from stream.rulelang import durations

    seconds = durations.parse(since)
    if not seconds:
        fail(f'expected --since to be {durations.EXPECTED}, got "{since}"', USAGE)
    stack = discovery.read_stack()
    here = stack["endpoints"] if stack else {}
    places = Places(
        kafka or here.get("kafka"),
        clickhouse or here.get("clickhouse"),
        endpoint or here.get("otlp_http"),
        stack,
    )
    findings = examine(places, load(rules, None), seconds)
    shown = _as_json(findings) if as_json else _show(findings)
    raise typer.Exit(FOUND if any(one.verdict.bad for one in shown) else 0)


def _as_json(findings: Iterable[Finding]) -> list[Finding]:
    shown = list(findings)
    typer.echo(json.dumps([one.to_json() for one in shown]))
    return shown


def _show(findings: Iterable[Finding]) -> list[Finding]:
    """A line for each as it is found, and its cure below it."""
    from rich.console import Console
    from rich.markup import escape
    from rich.padding import Padding

    console, shown = Console(), []
    for one in findings:
        shown.append(one)
        console.print(
            f"{_MARKS[one.verdict.value]:<8} [bold]{one.check}[/]: {escape(one.said)}", highlight=False
        )
        if one.cure:
            console.print(Padding(f"-> {escape(one.cure)}", (0, 0, 0, 4)), highlight=False)
    bad = sum(one.verdict.bad for one in shown)
    console.print(f"{bad} to mend" if bad else "nothing to mend")
    return shown


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(doctor)
