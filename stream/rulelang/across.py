"""Mistakes that show only when all rules are known: ids used twice, causes that do not exist, circles."""

from __future__ import annotations

from collections.abc import Sequence

from stream.rulelang.context import Context, Mention
from stream.rulelang.errors import RuleError, guess
from stream.rulelang.model import Rule
from stream.rulelang.order import causes_first


def mistakes(contexts: Sequence[Context], rules: Sequence[Rule]) -> list[RuleError]:
    """All of them; rules with mistakes of their own count as known."""
    first: dict[str, Mention] = {}
    errors: list[RuleError] = []
    for one in [one for context in contexts for one in context.declared if one.name != "?"]:
        known = first.setdefault(one.name, one)
        if known is not one:
            errors.append(
                _error(one, f'the id "{one.name}" is there twice; first in {known.file}:{known.line}')
            )
    errors.extend(
        _error(one, f'inhibited_by names no rule "{one.name}"{guess(one.name, first)}')
        for context in contexts
        for one in context.causes
        if one.name not in first
    )
    return errors or _circles(rules)


def _circles(rules: Sequence[Rule]) -> list[RuleError]:
    ordered = {rule.id for rule in causes_first(rules)}
    return [
        RuleError(rule.file, rule.line, rule.column, f'rule "{rule.id}": inhibited_by goes round in a circle')
        for rule in rules
        if rule.id not in ordered
    ]


def _error(one: Mention, message: str) -> RuleError:
    return RuleError(one.file, one.line, one.column, f'rule "{one.rule}": {message}')
