"""Which rules concern several ranks, and by which watermark they are answered: fixed by the rules alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from emitter.vocabulary import events as words
from stream.diagnose.inhibition import Kin
from stream.diagnose.plans import DIAGNOSIS, Plan, Plans
from stream.rulelang.model import Rule

STRICT: Final = 0
"""The lane of rules on numbered events: as soon as every rank was heard beyond a moment, it has passed."""
BOUNDED: Final = 1
"""The lane of what depends on spans and metrics, which come in no order: only the lateness says when."""
LANES: Final = (STRICT, BOUNDED)

BY_STEP: Final = frozenset({words.STEP, words.EVAL})
"""Events that several ranks have at the same step."""
UNNUMBERED: Final = frozenset({*words.SPANS, words.METRIC})


class Crossings:
    """``on`` and ``fed_by``: cross-rank plans by lane and event. ``lane`` of a symptom, ``echoes``: that of
    rules on diagnosis, None without them. ``causes``: the lanes in which somebody waits for a rule.
    """

    def __init__(self, rules: Sequence[Rule], plans: Plans) -> None:
        self.kin = Kin(rules)
        self._loose: dict[str, bool] = {}
        by_id = {rule.id: rule for rule in rules}
        observed = any(self._unordered(rule, plans) for rule in rules)
        for rule in rules:
            self._settle(rule, by_id, plans, observed)
        self.on: tuple[dict[str, list[Plan]], ...] = tuple({} for _ in LANES)
        self.fed_by: tuple[set[str], ...] = tuple(set() for _ in LANES)
        for plan in plans.by_id.values():
            if plan.cross_rank and plan.rule.on != DIAGNOSIS:
                self._add(plan)
        self.wanted = {name: self._lanes_of(name) for lane in self.on for name in lane} | {
            name: self._lanes_of(name) for lane in self.fed_by for name in lane
        }
        self.causes = {
            cause: tuple(sorted({self.lane(rule.id) for rule in symptoms}))
            for cause, symptoms in self.kin.symptoms.items()
        }
        self.echoes = (BOUNDED if observed else STRICT) if DIAGNOSIS in plans.on else None
        self._on_diagnosis = frozenset(rule.id for rule in rules if rule.on == DIAGNOSIS)
        inhibited = any(rule.inhibited_by or rule.excusable for rule in rules)
        self.needed = bool(self.wanted) or inhibited or self.echoes is not None

    def lane(self, rule_id: str) -> int:
        """The lane in which a rule is answered, or in which its symptoms' causes are weighed."""
        return BOUNDED if self._loose.get(rule_id) else STRICT

    def deaf(self, rule_id: str) -> bool:
        """Whether rules on diagnosis do not hear of this rule: it is one of them."""
        return rule_id in self._on_diagnosis

    def _settle(self, rule: Rule, by_id: dict[str, Rule], plans: Plans, observed: bool) -> bool:
        known = self._loose.get(rule.id)
        if known is None:
            self._loose[rule.id] = False
            known = observed if rule.on == DIAGNOSIS else self._unordered(rule, plans)
            for cause in rule.inhibited_by:
                if cause in by_id:
                    known = self._settle(by_id[cause], by_id, plans, observed) or known
            self._loose[rule.id] = known
        return known

    def _unordered(self, rule: Rule, plans: Plans) -> bool:
        plan = plans.by_id.get(rule.id)
        feeds = () if plan is None else plan.feeders
        return rule.on in UNNUMBERED or any(feeder.spec.event in UNNUMBERED for feeder in feeds)

    def _add(self, plan: Plan) -> None:
        lane = self.lane(plan.rule.id)
        self.on[lane].setdefault(plan.rule.on, []).append(plan)
        self.fed_by[lane].update(str(feeder.spec.event) for feeder in plan.feeders)

    def _lanes_of(self, name: str) -> tuple[int, ...]:
        return tuple(lane for lane in LANES if name in self.on[lane] or name in self.fed_by[lane])
