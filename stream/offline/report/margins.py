"""By how much a condition was exceeded: the comparisons of ``when`` with the values of the finding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stream.rulelang.conjuncts import parts, rule_source
from stream.rulelang.model import Rule


def margins(rule: Rule, evidence: Mapping[str, Any]) -> list[str]:
    """``ratio 25 > limit 10`` for each part of the condition that the evidence is enough to fill in."""
    when = (rule_source(rule) or {}).get("when")
    if not isinstance(when, str):
        return []
    known = {**rule.params, **evidence}
    return [part.shown for part in parts(when, known) if part.holds is not None]
