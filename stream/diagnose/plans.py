"""Rules made ready for the engine: what does not change from series to series."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from operator import is_
from typing import Final

from stream.diagnose.keys import KeyReader
from stream.diagnose.reading import Read, reader
from stream.diagnose.screens import Screen
from stream.rulelang.model import Program, Rule, Slot, WindowSpec
from stream.rulelang.windows import shared

DIAGNOSIS: Final = "diagnosis"
"""What rules on the transitions of other rules are on."""


class Nobody:
    """The peers of a rank that has none: every statistic is NaN, the count is 0."""

    def count(self) -> float:
        """How many there are."""
        return 0.0

    def quantile(self, _share: float) -> float:
        """Of no value."""
        return math.nan

    def mean(self) -> float:
        """Of no value."""
        return math.nan

    median = min = max = std = mad = sum = mean


NOBODY: Final = Nobody()


class Feeder:
    """A window of a rule that events of another name fill. ``index`` is its place among the windows.

    ``name``: the value that only has to be kept as it is, None where more is to be done.
    """

    __slots__ = ("index", "name", "needs", "read", "spec")

    def __init__(self, index: int, spec: WindowSpec) -> None:
        self.index = index
        self.spec = spec
        self.read = reader(spec.slots)
        self.needs = needs(spec.slots)
        only = None if spec.slot is None else spec.slots[spec.slot]
        plain = len(spec.slots) == 1 and only is not None and not only.optional
        self.name = only.name if plain and only is not None and only.place == "value" else None


class Plan:
    """One rule over samples.

    ``needs``: the values without which an event is no sample. ``own``: the places of the windows that its
    own samples fill; of those that share a tape, the first. ``alone``: the peers of a rank that has none.
    ``cross_rank``: several ranks meet in it. ``quiet``: a log rule, which the clock ends.
    """

    __slots__ = (
        "_screens",
        "alone",
        "cross_rank",
        "feeders",
        "for_count",
        "for_ns",
        "keep_ns",
        "keys",
        "learn_all",
        "needs",
        "own",
        "program",
        "quiet",
        "read",
        "rule",
        "timed",
    )  # fmt: skip

    def __init__(self, rule: Rule, program: Program) -> None:
        self.rule = rule
        self.program = program
        self.read: Read = reader(program.slots)
        self.needs = needs(program.slots)
        self.keys = KeyReader(rule)
        self.for_count = rule.for_count
        self.for_ns = int(rule.for_s * 1e9)
        self.keep_ns = int(rule.keep_firing_s * 1e9)
        self.learn_all = rule.learn_all
        self.quiet = rule.log is not None
        self.cross_rank = "rank" not in rule.by or bool(program.peers)
        self.alone = tuple(NOBODY for _ in program.peers)
        specs = list(enumerate(program.windows))
        self.own = tuple(place for place in shared(program.windows) if program.windows[place].event is None)
        self.feeders = tuple(Feeder(index, spec) for index, spec in specs if spec.event is not None)
        self.timed = any(spec.over_s is not None for spec in program.windows)
        self._screens: dict[tuple[tuple[int, bool | None], ...], Screen] = {}

    def screen(self, flags: Mapping[int, bool | None]) -> Screen:
        """The screen for events of which this is known ahead; made once."""
        key = tuple(flags.items())
        found = self._screens.get(key)
        if found is None:
            found = self._screens[key] = Screen(self.program, flags)
        return found


class Plans:
    """The plans of a set of rules by the event they are on and by the events that feed them, in order."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.on: dict[str, list[Plan]] = {}
        self.fed_by: dict[str, list[tuple[Plan, Feeder]]] = {}
        self.by_id: dict[str, Plan] = {}
        for rule in rules:
            if rule.program is not None:
                self._add(Plan(rule, rule.program))

    @classmethod
    def of(cls, rules: Sequence[Rule]) -> Plans:
        """The plans of these very rules, made once for all partitions: screens take long to compile."""
        for known, plans in _made:
            if len(known) == len(rules) and all(map(is_, known, rules)):
                return plans
        plans = cls(rules)
        _made.appendleft((tuple(rules), plans))
        return plans

    def _add(self, plan: Plan) -> None:
        self.by_id[plan.rule.id] = plan
        self.on.setdefault(plan.rule.on, []).append(plan)
        for feeder in plan.feeders:
            self.fed_by.setdefault(str(feeder.spec.event), []).append((plan, feeder))

    def looks_at_diagnoses(self, rule_id: str) -> bool:
        """Whether this rule is one on the transitions of others."""
        plan = self.by_id.get(rule_id)
        return plan is not None and plan.rule.on == DIAGNOSIS


_made: Final[deque[tuple[tuple[Rule, ...], Plans]]] = deque(maxlen=2)
"""Of the rules in force, and of those before them while partitions change over."""


def needs(slots: Iterable[Slot]) -> frozenset[str]:
    """The names of values that must be there."""
    return frozenset(slot.name for slot in slots if slot.place == "value" and not slot.optional)
