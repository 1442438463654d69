"""Commands for rule authors."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from stream.cli.diagnose import Params, load, numbers
from stream.cli.options import ERROR, FOUND, USAGE, AsJson, ClickHouse, Rules, fail

app = typer.Typer(help="Author rules.", no_args_is_help=True)

Paths = Annotated[
    list[Path] | None,
    typer.Argument(help="Pack files or folders; the shipped packs by default.", show_default=False),
]
Experimental = Annotated[bool, typer.Option(help="Also rules that are still experimental.")]


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


@app.command("check")
def check(paths: Paths = None, params: Params = None, as_json: AsJson = False) -> None:
    """Find every mistake in the packs: file:line:column, what was expected and what was found."""
    from stream import resources
    from stream.rulelang import RuleErrors, load_packs

    try:
        rules = load_packs(paths or [resources.path("rules")], numbers(params)).rules
    except RuleErrors as errors:
        for error in errors.errors:
            typer.echo(json.dumps(asdict(error)) if as_json else str(error), err=not as_json)
        raise typer.Exit(ERROR) from None
    if not as_json:
        packs = len({rule.pack for rule in rules})
        typer.echo(f"{_counted(len(rules), 'rule')} in {_counted(packs, 'pack')}: no mistakes")


@app.command("list")
def list_rules(
    paths: Paths = None,
    params: Params = None,
    since: Annotated[
        str | None, typer.Option(help="How often each fired in so long a stretch of history, such as 7d.")
    ] = None,
    clickhouse: ClickHouse = None,
    as_json: AsJson = False,
) -> None:
    """List the rules, or how often each of them fired."""
    from stream.cli import rule_listing, rule_rates

    rules = load(paths, params).rules
    rates = {one.rule: one for one in rule_rates.ask(clickhouse, since)} if since is not None else None
    if as_json:
        for rule in rules:
            rate = {"rate": rule_rates.as_json(rule.id, rates)} if rates is not None else {}
            typer.echo(json.dumps({**rule_listing.as_json(rule), **rate}))
    elif since is not None and rates is not None:
        rule_rates.show(rules, rates, since)
    else:
        rule_listing.show(rules)


@app.command("show")
def show(
    rule_id: Annotated[str, typer.Argument(metavar="RULE", help="The id of a rule.")],
    rules: Rules = None,
    params: Params = None,
    as_json: AsJson = False,
) -> None:
    """Show one rule: its text, what it reads, its params, samples and runbook, and who inhibits whom."""
    from stream.cli import rule_page
    from stream.rulelang.errors import guess

    ruleset = load(rules, params)
    rule = ruleset.by_id(rule_id)
    if rule is None:
        fail(f'there is no rule "{rule_id}"{guess(rule_id, [one.id for one in ruleset.rules])}', USAGE)
    if as_json:
        typer.echo(json.dumps(rule_page.as_json(rule, ruleset), allow_nan=False))
        return
    rule_page.show(rule, ruleset)


@app.command("schema")
def schema() -> None:
    """Print the JSON Schema of rule files, for editors."""
    from stream.rulelang.schema import schema as made

    typer.echo(json.dumps(made(), indent=2))


@app.command("test")
def run_tests(paths: Paths = None, params: Params = None, as_json: AsJson = False) -> None:
    """Run the samples that the rules carry through the engine; exit 1 if one does not do as it says."""
    from stream.diagnose.samples import run_samples

    rules = load(paths, params)
    failures = run_samples(rules)
    for failure in failures:
        typer.echo(json.dumps(asdict(failure)) if as_json else str(failure))
    if failures:
        raise typer.Exit(FOUND)
    if not as_json:
        count = sum(len(rule.tests) for rule in rules.rules)
        typer.echo(f"{_counted(count, 'sample')} of {_counted(len(rules.rules), 'rule')}: all pass")


@app.command("match")
def match(
    file: Annotated[Path, typer.Argument(help="A log file; - is stdin.", allow_dash=True, dir_okay=False)],
    rules: Rules = None,
    params: Params = None,
    experimental: Experimental = False,
    as_json: AsJson = False,
) -> None:
    """Say which rules each line of a log matches, looking at every line alone.

    With --json one object for each line: line (from 1), rules (strongest first), category of the strongest
    or null. Exit code 1 where a rule of warning or above matched.
    """
    from stream.cli.rule_match import match_file
    from stream.diagnose.lines import LineJudge

    judge = LineJudge(load(rules, params), experimental=experimental)
    if match_file(file, judge, as_json):
        raise typer.Exit(FOUND)


@app.command("backtest")
def backtest(
    paths: Annotated[list[Path], typer.Argument(help="Recorded runs: files or folders.", metavar="PATH...")],
    labels: Annotated[
        Path | None, typer.Option(help="What a person found in these runs (docs/backtest.md).")
    ] = None,
    rules: Rules = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(help="Rules as they were: also show what fired then and now.", exists=True),
    ] = None,
    params: Params = None,
    experimental: Experimental = False,
    min_recall: Annotated[
        float | None, typer.Option(min=0, max=1, help="Exit 1 where fewer certain anomalies are found.")
    ] = None,
    max_alarmed: Annotated[
        float | None, typer.Option(min=0, max=1, help="Exit 1 where more of the clean runs are alarmed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the rules over recorded runs: firings, false alarms per day, recall and time to detect."""
    from stream.cli.rule_backtest import Limits, run

    missing = next((path for path in paths if not path.exists()), None)
    if missing is not None:
        fail(f"{missing}: expected a file or a folder, found none of this name", USAGE)
    if labels is None and (min_recall is not None or max_alarmed is not None):
        fail("--min-recall and --max-alarmed need --labels", USAGE)
    before = load(against, None) if against else None
    limits = Limits(min_recall, max_alarmed)
    run(paths, load(rules, params), before, labels, experimental=experimental, limits=limits, as_json=as_json)
