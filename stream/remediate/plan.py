"""What a rule wants to be done, as it travels with each diagnosis: the rule itself may change meanwhile."""

from __future__ import annotations

from typing import Any

import msgspec

from stream.rulelang.model import Rule


class PlannedAction(msgspec.Struct, frozen=True):
    """One step of ``then``. ``if_unresolved_s``: only when it still fires that long after."""

    name: str
    args: dict[str, Any] = {}
    if_unresolved_s: float | None = None


class Plan(msgspec.Struct, frozen=True):
    """The part of a rule that remediation goes by."""

    then: tuple[PlannedAction, ...] = ()
    cooldown_s: float = 0.0
    settle_s: float = 0.0
    mode: str | None = None
    inhibited_by: tuple[str, ...] = ()


def plan_of(rule: Rule) -> Plan:
    """The plan in this rule."""
    then = tuple(PlannedAction(a.name, dict(a.args), a.if_unresolved_s) for a in rule.then)
    return Plan(then, rule.cooldown_s, rule.settle_s, rule.mode, rule.inhibited_by)
