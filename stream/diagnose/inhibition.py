"""Inhibition: which causes fire, which symptoms are kept quiet by them, and which of these speak up again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from emitter.vocabulary.diagnoses import Diagnosis
from stream.rulelang.model import Rule

Agreement = tuple[Any, ...]
"""The values of ``same``, in its order."""

_ALWAYS: Final = ("run",)
"""What agrees anyway: inhibition stays within a run."""


class Kin:
    """Causes and symptoms of a set of rules, which do not change from run to run.

    ``order``: causes before the symptoms they inhibit, which may be causes themselves.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.symptoms: dict[str, list[Rule]] = {}
        self.same: dict[str, tuple[str, ...]] = {}
        self.order: dict[str, int] = {}
        for place, rule in enumerate(rules):
            self.order[rule.id] = place
            self.same[rule.id] = tuple(name for name in rule.same if name not in _ALWAYS)
            for cause in rule.inhibited_by:
                self.symptoms.setdefault(cause, []).append(rule)


class Symptom(Protocol):
    """What a diagnosis is about. ``diagnosis``: what was said of it; ``held``: its opening, if that waits."""

    diagnosis: Diagnosis | None
    held: Held | None

    @property
    def key(self) -> tuple[Any, ...]:
        """What it is a series of."""

    @property
    def rule(self) -> Rule:
        """Its rule."""

    def excused(self, made: Diagnosis, time_ns: int) -> bool:
        """Whether what other ranks did before this moment means that it is none."""


class Held:
    """One opening of a symptom. ``said``: it was published; ``diagnosis`` is how it stands at present.

    ``asked`` is what was asked last and ``time_ns`` when, ``symptom`` whose opening it is.
    """

    __slots__ = ("agreement", "asked", "diagnosis", "key", "number", "rule", "said", "symptom", "time_ns")

    def __init__(self, number: int, rule: Rule, key: tuple[Any, ...], agreement: Agreement) -> None:
        self.number = number
        self.rule = rule
        self.key = key
        self.agreement = agreement
        self.asked: Diagnosis | None = None
        self.diagnosis: Diagnosis | None = None
        self.said = False
        self.time_ns = 0
        self.symptom: Symptom | None = None


class Inhibition:
    """The causes that fire at one moment of one attempt, and the symptoms they keep quiet."""

    def __init__(self, kin: Kin) -> None:
        self._kin = kin
        self._firing: dict[tuple[str, tuple[str, ...], Agreement], int] = {}
        self._quiet: dict[tuple[str, Agreement], dict[int, Held]] = {}
        self._freed: dict[tuple[str, Agreement], int] = {}
        self._queue: list[tuple[int, str, int, int, Held]] = []

    def hold(self, number: int, rule: Rule, key: tuple[Any, ...], made: Diagnosis) -> Held:
        """A symptom that opened."""
        return Held(number, rule, key, _agreement(self._kin.same[rule.id], made))

    def cause_of(self, held: Held) -> str | None:
        """The first rule that fires and keeps this symptom quiet."""
        same = self._kin.same[held.rule.id]
        for cause in held.rule.inhibited_by:
            if (cause, same, held.agreement) in self._firing:
                return cause
        return None

    def keep_quiet(self, held: Held) -> None:
        """A cause of this symptom fires."""
        self._quiet.setdefault((held.rule.id, held.agreement), {})[held.number] = held

    def release(self, held: Held) -> None:
        """This symptom was said, or has closed."""
        place = (held.rule.id, held.agreement)
        group = self._quiet.get(place)
        if group is not None and group.pop(held.number, None) is not None and not group:
            del self._quiet[place]

    def count(self, made: Diagnosis, opened: bool, time_ns: int) -> bool:
        """A cause fires or resolves. True when symptoms may now be free of causes."""
        freed = False
        symptoms = self._kin.symptoms.get(made.rule, ())
        for same in {self._kin.same[rule.id]: None for rule in symptoms}:
            agreement = _agreement(same, made)
            place = (made.rule, same, agreement)
            left = self._firing.get(place, 0) + (1 if opened else -1)
            if left > 0:
                self._firing[place] = left
                continue
            self._firing.pop(place, None)
            for rule in symptoms:
                if self._kin.same[rule.id] == same and (rule.id, agreement) in self._quiet:
                    self._freed[rule.id, agreement] = time_ns
                    freed = True
        return freed

    def quiet(self) -> Iterable[Held]:
        """The symptoms kept quiet."""
        return [held for group in self._quiet.values() for held in group.values()]

    @property
    def may_free(self) -> bool:
        """Whether ``freed`` has something to look at."""
        return bool(self._freed or self._queue)

    def freed(self) -> tuple[Held, int] | None:
        """The next symptom that is still open and has no cause any more, and since when; causes first."""
        if self._freed:
            waiting = {entry[2]: entry for entry in self._queue}
            for place, time_ns in self._freed.items():
                for held in self._quiet.get(place, {}).values():
                    order = self._kin.order[held.rule.id]
                    waiting[held.number] = (order, repr(held.key), held.number, time_ns, held)
            self._freed.clear()
            self._queue = sorted(waiting.values(), reverse=True)
        while self._queue:
            _, _, number, time_ns, held = self._queue.pop()
            quiet = number in self._quiet.get((held.rule.id, held.agreement), ())
            if quiet and self.cause_of(held) is None:
                return held, max(time_ns, held.time_ns)
        return None

    def save(self) -> list[Any]:
        """The state as plain data; symptoms by number."""
        firing = [[rule, list(same), list(at), count] for (rule, same, at), count in self._firing.items()]
        quiet = [[rule, list(at), list(group)] for (rule, at), group in self._quiet.items()]
        return [firing, quiet, [[rule, list(at), time_ns] for (rule, at), time_ns in self._freed.items()]]

    @classmethod
    def load(
        cls, kin: Kin, state: list[Any], held: Mapping[int, Held], rules: Mapping[str, Rule]
    ) -> Inhibition:
        """Goes on where ``save`` was called, with the symptoms by their numbers and the rules still there."""
        made = cls(kin)
        firing, quiet, freed = state
        made._firing = {
            (rule, tuple(same), tuple(at)): count for rule, same, at, count in firing if rule in rules
        }
        for rule, at, numbers in quiet:
            if rule in rules:
                made._quiet[rule, tuple(at)] = {number: held[number] for number in numbers}
        made._freed = {(rule, tuple(at)): time_ns for rule, at, time_ns in freed}
        return made


def _agreement(same: tuple[str, ...], made: Diagnosis) -> Agreement:
    return tuple(getattr(made, name) for name in same)
