"""``trainwarden rules backtest``: runs the backtest and shows its score."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table

from stream.backtest.changes import Change, changes
from stream.backtest.errors import LabelsError
from stream.backtest.labels import Label, read_labels
from stream.backtest.replaying import Firing, Recorded, groups_of, replay
from stream.backtest.scoring import Delay, RuleScore, Score, median_delay, score
from stream.cli.options import ERROR, FOUND, fail
from stream.offline.errors import OfflineError

if TYPE_CHECKING:
    from stream.rulelang import RuleSet


@dataclass(frozen=True)
class Limits:
    """What a change of rules must keep."""

    recall: float | None = None
    alarmed: float | None = None


def run(
    paths: list[Path], rules: RuleSet, before: RuleSet | None, labels: Path | None, *,
    experimental: bool, limits: Limits, as_json: bool,
) -> None:  # fmt: skip
    """Replay, score, print; exit 1 where a limit is not kept, 3 where something could not be read."""
    try:
        known = read_labels(labels) if labels is not None else {}
    except LabelsError as error:
        fail(str(error))
    problems: list[OfflineError] = []
    recorded = _replayed(paths, rules, experimental, problems)
    changed = None
    if before is not None:
        changed = changes(_replayed(paths, before, experimental, []), recorded)
    found = score(recorded, known)
    if as_json:
        typer.echo(json.dumps(_as_json(found, rules, changed), allow_nan=False))
    else:
        _print(found, rules, changed)
    _tell(recorded, known, problems)
    broken = _broken(found, limits)
    for sentence in broken:
        typer.echo(f"trainwarden: {sentence}", err=True)
    if problems:
        raise typer.Exit(ERROR)
    if broken:
        raise typer.Exit(FOUND)


def _replayed(
    paths: list[Path], rules: RuleSet, experimental: bool, problems: list[OfflineError]
) -> list[Recorded]:
    with Console(stderr=True).status("replaying ...") as status:
        found = []
        for run in replay(groups_of(paths, problems), rules, problems, experimental=experimental):
            found.append(run)
            status.update(f"replayed {len(found)} runs")
    return found


def _tell(recorded: list[Recorded], labels: Mapping[str, Label], problems: list[OfflineError]) -> None:
    for problem in problems:
        typer.echo(f"trainwarden: {problem}", err=True)
    for left_out in sorted({run.left_out for run in recorded if run.left_out}):
        typer.echo(f"trainwarden: {left_out}", err=True)
    absent = sorted(set(labels) - {run.run for run in recorded})
    if absent:
        more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
        typer.echo(f"trainwarden: no run of this name for {', '.join(absent[:5])}{more} (labels)", err=True)


def _broken(found: Score, limits: Limits) -> list[str]:
    broken = []
    if limits.recall is not None and (found.recall is None or found.recall < limits.recall):
        broken.append(f"expected a recall of at least {limits.recall:g}, got {_share(found.recall)}")
    if limits.alarmed is not None and (found.alarmed is None or found.alarmed > limits.alarmed):
        broken.append(
            f"expected alarms in at most {limits.alarmed:g} of the clean runs, got {_share(found.alarmed)}"
        )
    return broken


def _share(value: float | None) -> str:
    return "none labelled" if value is None else f"{value:.3g}"


def _as_json(found: Score, rules: RuleSet, changed: list[Change] | None) -> dict[str, Any]:
    return {
        "runs": found.runs, "points": found.points, "days": found.days, "labelled": found.labelled,
        "clean_runs": found.clean, "clean_runs_alarmed": found.clean_alarmed, "alarmed": found.alarmed,
        "clean_days": found.clean_days, "clean_points_without_times": found.clean_points,
        "recall": found.recall,
        "rules": [_rule_json(found, one) for one in _rules(found, rules)],
        "categories": [
            {"type": name, "found": one.found, "total": one.total, **_delay_json(one.delays)}
            for name, one in sorted(found.categories.items())
        ],
        "missed": [{"run": run, "type": one.type, "first_step": one.first_step} for run, one in found.missed],
        "alarms": [{"run": run, **_firing_json(one)} for run, one in found.alarms],
        "changes": None if changed is None else [_change_json(one) for one in changed],
    }  # fmt: skip


def _rules(found: Score, rules: RuleSet) -> list[RuleScore]:
    """All rules, those that never fired too."""
    return [
        found.rules.get(rule.id, RuleScore(rule.id, rule.category, rule.severity)) for rule in rules.rules
    ]


def _rule_json(found: Score, one: RuleScore) -> dict[str, Any]:
    return {
        "rule": one.rule, "category": one.category, "severity": one.severity, "firings": one.firings,
        "runs": one.runs, "false_alarms": one.false, "false_alarms_per_day": found.false_per_day(one),
        "false_alarms_per_1000_points": found.false_per_1000(one), "found": one.found,
        **_delay_json(one.delays),
    }  # fmt: skip


def _delay_json(delays: list[Delay]) -> dict[str, Any]:
    points, seconds = median_delay(delays)
    return {"delay_points": points, "delay_seconds": seconds}


def _firing_json(one: Firing) -> dict[str, Any]:
    return {
        "rule": one.rule, "category": one.category, "severity": one.severity, "step": one.step,
        "line": one.line, "rank": one.rank, "summary": one.summary,
    }  # fmt: skip


def _change_json(one: Change) -> dict[str, Any]:
    return {
        "run": one.run, "rule": one.rule, "change": one.word,
        "before": one.before and _firing_json(one.before), "now": one.now and _firing_json(one.now),
    }  # fmt: skip


def _print(found: Score, rules: RuleSet, changed: list[Change] | None) -> None:
    console = Console()
    fired = [one for one in _rules(found, rules) if one.firings]
    if fired:
        console.print(_rule_table(found, fired))
    console.print(_summary(found, len(rules.rules) - len(fired)), highlight=False)
    if found.categories:
        console.print(_category_table(found))
    for run, anomaly in found.missed:
        where = "" if anomaly.first_step is None else f" at {anomaly.first_step:.12g}"
        console.print(f"missed: {run}: {anomaly.type}{where}", highlight=False, markup=False)
    for run, alarm in found.alarms:
        console.print(
            f"false: {run}: {alarm.rule}{_place(alarm)}: {alarm.summary}", highlight=False, markup=False
        )
    if changed is not None:
        _print_changes(console, changed)


def _summary(found: Score, silent: int) -> str:
    parts = [f"{found.runs} runs, {found.points:,} points"]
    if found.days:
        parts.append(f"{found.days:.3g} recorded days")
    parts.append(f"{silent} rules never fired")
    if found.clean:
        parts.append(f"{found.clean_alarmed} of {found.clean} clean runs alarmed")
    if found.recall is not None:
        parts.append(f"recall {found.recall:.3f}")
    return "; ".join(parts)


def _rule_table(found: Score, rules: list[RuleScore]) -> Table:
    table = Table("rule", "category")
    for heading in ("firings", "runs", *_false_headings(found), "found", "delay"):
        table.add_column(heading, justify="right")
    for one in rules:
        table.add_row(
            one.rule, one.category, str(one.firings), str(one.runs), *_false_cells(found, one),
            str(one.found) if found.labelled else "", _delay(one.delays),
        )  # fmt: skip
    return table


def _false_headings(found: Score) -> list[str]:
    headings = ["false"] if found.clean else []
    headings += ["false/day"] if found.clean_days else []
    return headings + (["false/1000 points"] if found.clean_points else [])


def _false_cells(found: Score, one: RuleScore) -> list[str]:
    cells = [str(one.false)] if found.clean else []
    rates = (found.false_per_day(one), found.false_per_1000(one))
    return cells + [f"{value:.3g}" for value in rates if value is not None]


def _category_table(found: Score) -> Table:
    table = Table("anomaly", "found", "delay", title="certain anomalies")
    for name, one in sorted(found.categories.items()):
        table.add_row(name, f"{one.found} of {one.total}", _delay(one.delays))
    return table


def _delay(delays: list[Delay]) -> str:
    points, seconds = median_delay(delays)
    if points is None:
        return ""
    return f"{points:g} points" + ("" if seconds is None else f", {seconds:.3g} s")


def _place(firing: Firing) -> str:
    place = f" step {firing.step}" if firing.step is not None else ""
    place += f" line {firing.line}" if firing.line is not None else ""
    return place + (f" rank {firing.rank}" if firing.rank else "")


def _print_changes(console: Console, changed: list[Change]) -> None:
    console.print(f"changed firings: {len(changed)}" if changed else "the same firings as before")
    marks = {"gone": ("-", "red"), "new": ("+", "green"), "moved": ("~", "yellow")}
    for one in changed:
        mark, style = marks[one.word]
        places = " ->".join(_place(firing) or " somewhere" for firing in (one.before, one.now) if firing)
        console.print(f"{mark} {one.run}: {one.rule}{places}", style=style, highlight=False, markup=False)
