"""``trainwarden explain``: why a rule did or did not fire."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.diagnose import Params, load
from stream.cli.options import ERROR, USAGE, AsJson, ClickHouse, Rules, clickhouse_of, fail

if TYPE_CHECKING:
    from stream.explain.answers import Answer
    from stream.rulelang import Rule, RuleSet


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(explain)


def explain(
    run: Annotated[
        str, typer.Argument(help="A recorded run (file or folder), or a run's id or name in history.")
    ],
    rule: Annotated[str, typer.Argument(help="The rule's id.")],
    step: Annotated[int | None, typer.Option(help="Only this step; the whole run by default.")] = None,
    rank: Annotated[int | None, typer.Option(help="Only this rank.")] = None,
    rules: Rules = None,
    params: Params = None,
    experimental: Annotated[bool, typer.Option(help="Also run rules that are still experimental.")] = False,
    clickhouse: ClickHouse = None,
    as_json: AsJson = False,
) -> None:
    """Say why a rule did or did not fire in a run.

    Over the whole run: how often what came of it, its firings, and the step where it was closest. With
    --step: every part of its condition with the values there.
    """
    from stream.explain.errors import ExplainError
    from stream.history.errors import HistoryError

    ruleset = load(rules, params)
    found = _rule(ruleset, rule)
    try:
        answers, failed = _answers(run, ruleset, found, step, rank, experimental, clickhouse)
    except (ExplainError, HistoryError) as error:
        fail(str(error))
    from stream.explain.printing import show

    for answer in answers:
        if as_json:
            typer.echo(json.dumps(answer.to_json(), allow_nan=False))
        else:
            show(answer)
    if failed:
        raise typer.Exit(ERROR)


def _rule(ruleset: RuleSet, rule: str) -> Rule:
    from stream.rulelang.errors import guess

    found = ruleset.by_id(rule)
    if found is None:
        known = [one.id for one in ruleset.rules]
        fail(f'there is no rule "{rule}"{guess(rule, known)}', USAGE)
    return found


def _answers(
    run: str, ruleset: RuleSet, rule: Rule, step: int | None, rank: int | None, experimental: bool,
    clickhouse: str | None,
) -> tuple[list[Answer], bool]:  # fmt: skip
    """One answer for each recorded run, and whether something could not be read."""
    from stream.explain.explaining import explain as answer
    from stream.offline.errors import OfflineError, ReadError
    from stream.offline.finding import Group, find

    if run == "-" or Path(run).exists():
        problems: list[OfflineError] = []
        groups = find([Path(run)], None, problems)
        made = [
            answer(group, ruleset, rule, step=step, rank=rank, experimental=experimental, problems=problems)
            for group in groups
        ]
        for problem in problems:
            typer.echo(f"trainwarden: {problem}", err=True)
        return made, any(isinstance(problem, ReadError) for problem in problems)
    from stream import history
    from stream.explain.causes import needed
    from stream.explain.history import History, find_run

    with history.connect(clickhouse_of(clickhouse)) as client:
        run_id = find_run(client, run)
        recording = History(client, run_id, needed(ruleset, rule))
        group = Group(run_id, ())
        return [
            answer(group, ruleset, rule, step=step, rank=rank, experimental=experimental, recording=recording)
        ], False
