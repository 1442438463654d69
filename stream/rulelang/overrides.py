"""Params set from outside the files: by a caller, a command's option, or TRAINWARDEN_RULE_PARAMS."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from stream.rulelang.errors import RuleError, guess
from stream.rulelang.model import Rule
from stream.rulelang.params import Overriding

ENVIRONMENT: Final = "TRAINWARDEN_RULE_PARAMS"
FORM: Final = 'rule.param=number, or rule.param@PATTERN=number for runs whose name fits, such as "rl-*"'


@dataclass
class Overrides:
    """By rule, param, and pattern of a run's name ("" for every run). ``source`` names them in errors."""

    source: str = "params"
    values: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    errors: list[RuleError] = field(default_factory=list)

    def of(self, rule_id: str) -> Overriding:
        """What is set for one rule."""
        return self.values.get(rule_id, {})

    def set(self, name: str, value: float, source: str) -> None:
        """Take ``rule.param`` or ``rule.param@pattern``; what is set later wins."""
        place, _, pattern = name.partition("@")
        rule_id, dot, param = place.strip().partition(".")
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not (rule_id and dot and param) or ("@" in name and not pattern.strip()):
            self.errors.append(RuleError(source, 1, 1, f'expected {FORM}, got "{name}"'))
        elif not number:
            self.errors.append(RuleError(source, 1, 1, f"expected a number for {name}, got {value!r}"))
        else:
            self.values.setdefault(rule_id, {}).setdefault(param, {})[pattern.strip()] = float(value)
            self._sources[rule_id, param] = source

    _sources: dict[tuple[str, str], str] = field(default_factory=dict)

    def unknown(self, rules: Iterable[Rule]) -> list[RuleError]:
        """Mistakes, once all rules are known."""
        params = {rule.id: rule.params for rule in rules}
        found = list(self.errors)
        for rule_id, param in self._sources:
            if rule_id not in params:
                message = f'there is no rule "{rule_id}" to set {param} of{guess(rule_id, params)}'
            elif param not in params[rule_id]:
                known = params[rule_id]
                names = f"; it has {', '.join(known)}" if known else ""
                message = f'the rule "{rule_id}" has no param `{param}`{guess(param, known) or names}'
            else:
                continue
            found.append(RuleError(self._sources[rule_id, param], 1, 1, message))
        return found


def overrides(params: Mapping[str, float] | None = None, environment: str | None = None) -> Overrides:
    """From ``TRAINWARDEN_RULE_PARAMS`` and from a caller, who wins."""
    found = Overrides()
    for item in (environment or "").split(","):
        name, equals, text = item.strip().partition("=")
        if not item.strip():
            continue
        try:
            value: float = float(text) if equals else math.nan
        except ValueError:
            value = math.nan
        if math.isfinite(value):
            found.set(name.strip(), value, ENVIRONMENT)
        else:
            found.errors.append(RuleError(ENVIRONMENT, 1, 1, f'expected {FORM}, got "{item.strip()}"'))
    for name, value in (params or {}).items():
        found.set(name, value, "params")
    return found
