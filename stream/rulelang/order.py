"""The order in which rules look at one event: causes before the symptoms they inhibit."""

from __future__ import annotations

from collections.abc import Iterable

from stream.rulelang.model import Rule


def causes_first(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """The rules so that everything in ``inhibited_by`` comes earlier; those in a circle are left out."""
    waiting = list(rules)
    present = {rule.id for rule in waiting}
    ordered: list[Rule] = []
    placed: set[str] = set()
    while waiting:
        ready = [rule for rule in waiting if present.isdisjoint(set(rule.inhibited_by) - placed)]
        if not ready:
            break
        ordered.extend(ready)
        placed |= {rule.id for rule in ready}
        waiting = [rule for rule in waiting if rule.id not in placed]
    return tuple(ordered)
