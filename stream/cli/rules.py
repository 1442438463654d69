"""Commands for rule authors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from stream.cli.options import ERROR, FOUND, AsJson, Rules

if TYPE_CHECKING:
    from stream.rulelang import RuleSet

app = typer.Typer(help="Author rules.", no_args_is_help=True)

Paths = Annotated[
    list[Path] | None,
    typer.Argument(help="Pack files or folders; the shipped packs by default.", show_default=False),
]


def _load(paths: list[Path] | None) -> RuleSet:
    from stream import resources
    from stream.rulelang import RuleErrors, load_packs

    try:
        return load_packs(paths or [resources.path("rules")])
    except RuleErrors as errors:
        typer.echo(str(errors), err=True)
        raise typer.Exit(ERROR) from None


@app.command("check")
def check(paths: Paths = None) -> None:
    """Find every mistake in the packs: file:line:column, what was expected and what was found."""
    rules = _load(paths).rules
    typer.echo(f"{len(rules)} rules in {len({rule.pack for rule in rules})} packs: no mistakes")


@app.command("list")
def list_rules(paths: Paths = None, as_json: AsJson = False) -> None:
    """List the rules."""
    rules = _load(paths).rules
    if as_json:
        for rule in rules:
            fields = {
                "id": rule.id, "pack": rule.pack, "category": rule.category, "severity": rule.severity,
                "version": rule.version, "then": [action.name for action in rule.then],
            }  # fmt: skip
            typer.echo(json.dumps(fields))
        return
    table = Table("rule", "pack", "category", "severity", "then")
    for rule in rules:
        actions = ", ".join(action.name for action in rule.then)
        table.add_row(rule.id, rule.pack, rule.category, rule.severity, actions)
    Console().print(table)


@app.command("test")
def run_tests(paths: Paths = None) -> None:
    """Run the samples that the rules carry through the engine; exit 1 if one does not do as it says."""
    from stream.diagnose.samples import run_samples

    rules = _load(paths)
    failures = run_samples(rules)
    for failure in failures:
        typer.echo(str(failure))
    if failures:
        raise typer.Exit(FOUND)
    typer.echo(
        f"{sum(len(rule.tests) for rule in rules.rules)} samples of {len(rules.rules)} rules: all pass"
    )


@app.command("match")
def match(
    file: Annotated[Path, typer.Argument(help="A log file; - is stdin.", allow_dash=True, dir_okay=False)],
    rules: Rules = None,
    experimental: Annotated[bool, typer.Option(help="Also rules of that maturity.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say which rules each line of a log matches, looking at every line alone.

    With --json one object for each line: line (from 1), rules (strongest first), category of the strongest
    or null. Exit code 1 where a rule of warning or above matched.
    """
    from stream.cli.rule_match import match_file
    from stream.diagnose.lines import LineJudge

    judge = LineJudge(_load(rules), experimental=experimental)
    if match_file(file, judge, as_json):
        raise typer.Exit(FOUND)
