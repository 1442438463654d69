"""``trainwarden diagnose``: recorded data through the rules, without any service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.options import ERROR, FOUND, USAGE, Rules, fail

if TYPE_CHECKING:
    from stream.rulelang import RuleSet

Params = Annotated[
    list[str] | None,
    typer.Option(
        "--params", "-p", metavar="RULE.PARAM=NUMBER", help="Override a param of a rule; repeatable."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(diagnose)


def diagnose(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Recorded runs: files, folders, or - for stdin.", metavar="PATH...", show_default=False
        ),
    ],
    rules: Rules = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line for each finding.")] = False,
    all_states: Annotated[bool, typer.Option("--all-states", help="Also say when a finding ended.")] = False,
    run: Annotated[str | None, typer.Option(help="Name of the run; the file's stem by default.")] = None,
    params: Params = None,
    experimental: Annotated[bool, typer.Option(help="Also run rules that are still experimental.")] = False,
) -> None:
    """Find what went wrong in recorded runs.

    Reads Hugging Face's trainer_state.json, TensorBoard event files, JSON lines, CSV, Parquet and logs of
    training, plain or compressed; the format is seen from the content.
    """
    from stream.offline.diagnosing import Diagnosing, Options

    ruleset = load(rules, params)
    missing = [path for path in paths if str(path) != "-" and not path.exists()]
    if missing:
        fail(f"{missing[0]}: expected a file or a folder, found none of this name", USAGE)
    options = Options(run=run, as_json=as_json, all_states=all_states, experimental=experimental)
    done = Diagnosing(ruleset, options)
    done.run(paths)
    if done.failed:
        raise typer.Exit(ERROR)
    if done.loud:
        raise typer.Exit(FOUND)


def load(rules: list[Path] | None, params: list[str] | None) -> RuleSet:
    """The rules a user asked for, with their params; every mistake in them ends the command."""
    from stream import resources
    from stream.rulelang import RuleErrors, load_packs

    try:
        return load_packs(rules or [resources.path("rules")], numbers(params))
    except RuleErrors as errors:
        typer.echo(str(errors), err=True)
        raise typer.Exit(ERROR) from None


def numbers(params: list[str] | None) -> dict[str, float]:
    """``rule.param=number`` as a mapping."""
    found: dict[str, float] = {}
    for text in params or ():
        name, _, number = text.partition("=")
        try:
            found[name.strip()] = float(number)
        except ValueError:
            fail(f'--params: expected rule.param=number, got "{text}"', USAGE)
    return found
