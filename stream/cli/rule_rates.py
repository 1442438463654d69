"""``trainwarden rules list --since 7d``: how often each rule fired, from history."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from stream.cli.options import USAGE, clickhouse_of, fail

if TYPE_CHECKING:
    from stream.history.rates import Rate
    from stream.rulelang import Rule


def ask(clickhouse: str | None, since: str) -> list[Rate]:
    """The rates of this stretch of history. Raises HistoryError."""
    from stream import history
    from stream.history.rates import rates
    from stream.rulelang import durations

    seconds = durations.parse(since)
    if not seconds:
        fail(f'expected --since to be {durations.EXPECTED}, got "{since}"', USAGE)
    with history.connect(clickhouse_of(clickhouse)) as client:
        return rates(client, seconds)


def as_json(rule_id: str, found: dict[str, Rate]) -> dict[str, Any]:
    """The rate of one rule, zero where it never fired."""
    one = found.get(rule_id)
    if one is None:
        return {"runs": 0, "firings": 0, "open": 0, "by_itself": 0, "newest": None, "per_day": 0.0}
    return {name: value for name, value in asdict(one).items() if name != "rule"}


def show(rules: Iterable[Rule], found: dict[str, Rate], since: str) -> None:
    """The rules that fired, the most frequent first; those in history that are not loaded too."""
    table = Table("rule", "firings", "a day", "runs", "open", "ended by itself", "newest")
    for name in table.columns[1:6]:
        name.justify = "right"
    for one in found.values():
        counts = (str(one.firings), f"{one.per_day:.2g}", str(one.runs), str(one.open), str(one.by_itself))
        table.add_row(one.rule, *counts, one.newest)
    console = Console()
    if found:
        console.print(table)
        console.print(
            "A false alarm is among those that ended by itself, without a command; so is what healed."
        )
    quiet = sum(rule.id not in found for rule in rules)
    console.print(f"{quiet} rules did not fire in {since}.")
