"""The rules that must run so that one rule does what it does in the whole set."""

from __future__ import annotations

from typing import Final

from stream.rulelang.model import Rule, RuleSet

_DIAGNOSIS: Final = "diagnosis"


def needed(rules: RuleSet, rule: Rule) -> RuleSet:
    """The rule with its causes, theirs, and so on; all rules where it looks at the diagnoses of others."""
    ids: set[str] = set()
    waiting = [rule.id]
    while waiting:
        one = rules.by_id(waiting.pop())
        if one is None or one.id in ids:
            continue
        if one.on == _DIAGNOSIS:
            return rules
        ids.add(one.id)
        waiting.extend(one.inhibited_by)
    return rules.only(frozenset(ids))
