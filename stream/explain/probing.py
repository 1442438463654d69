"""A rule made to tell more: what its conditions compute inside, beside the values it names itself.

The rule is read again with one more ``let`` for each window, peer or field that stands in ``when``; the
engine judges as before and its verdicts carry those values too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import yaml

from stream.rulelang import RuleErrors, load_texts
from stream.rulelang.conjuncts import calls, rule_source
from stream.rulelang.model import Rule, RuleSet

_PROBE: Final = "probe_"
MAX_PROBES: Final = 20
_READ: Final = ("category", "on", "by", "with", "where", "when", "clear_when", "match", "unless", "learn")


@dataclass(frozen=True)
class Probed:
    """A rule set in which one rule tells more. ``texts`` maps a probe's name to what it is the value of."""

    rules: RuleSet
    rule: Rule
    texts: Mapping[str, str]

    def known(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """A verdict's values by name or text, with the rule's params."""
        named = {self.texts.get(name, name): value for name, value in values.items()}
        return {**self.rule.params, **named}


def probed(rules: RuleSet, rule: Rule) -> Probed:
    """The same rules; as they are where nothing can be added."""
    source = rule_source(rule)
    when = (source or {}).get("when")
    if source is None or rule.program is None or not isinstance(when, str):
        return Probed(rules, rule, {})
    texts = {f"{_PROBE}{index}": text for index, text in enumerate(dict.fromkeys(calls(when)))}
    texts = dict(list(texts.items())[:MAX_PROBES])
    program = _program(rule, source, texts) if texts else None
    if program is None:
        return Probed(rules, rule, {})
    told = replace(rule, program=program)
    swapped = tuple(told if one.id == rule.id else one for one in rules.rules)
    return Probed(replace(rules, rules=swapped), told, texts)


def _program(rule: Rule, source: Mapping[str, Any], texts: Mapping[str, str]) -> Any:
    body: dict[str, Any] = {word: source[word] for word in _READ if word in source}
    body["id"] = rule.id
    body["summary"] = " ".join(f"{{{name}}}" for name in (*texts, *(source.get("let") or ()), *rule.params))
    body["params"] = dict(rule.params)
    body["let"] = {**(source.get("let") or {}), **texts}
    body = {word: value for word, value in body.items() if value not in ({}, None)}
    pack = yaml.safe_dump({"pack": rule.pack, "rules": [body]}, sort_keys=False, width=10_000)
    try:
        (again,) = load_texts({str(Path(rule.file)): pack}).rules
    except RuleErrors:
        return None
    return again.program
