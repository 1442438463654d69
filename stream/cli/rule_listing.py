"""``trainwarden rules list``: one line for each rule."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from stream.rulelang import Rule


def as_json(rule: Rule) -> dict[str, Any]:
    """What a program wants to know of a rule."""
    return {
        "id": rule.id, "pack": rule.pack, "category": rule.category, "severity": rule.severity,
        "maturity": rule.maturity, "on": rule.on, "mode": rule.mode, "inhibited_by": list(rule.inhibited_by),
        "version": rule.version, "file": rule.file, "then": [action.name for action in rule.then],
    }  # fmt: skip


def show(rules: Iterable[Rule]) -> None:
    """The rules as a table, by pack."""
    table = Table("rule", "pack", "category", "severity", "on", "then")
    pack = None
    for rule in sorted(rules, key=lambda rule: rule.pack):
        if pack not in (None, rule.pack):
            table.add_section()
        pack = rule.pack
        name = rule.id if rule.maturity == "stable" else f"{rule.id} ({rule.maturity})"
        actions = ", ".join(action.name for action in rule.then)
        table.add_row(name, rule.pack, rule.category, rule.severity, rule.on, actions)
    Console().print(table)
