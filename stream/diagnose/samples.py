"""The samples that rules carry, run through the real engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from emitter.vocabulary.cloudevents import parse_rfc3339
from emitter.vocabulary.diagnoses import FIRING, RESOLVED, Diagnosis
from stream.diagnose.engine import Engine
from stream.diagnose.sample_story import SECOND_NS, messages
from stream.diagnose.verdicts import Verdict, Watch
from stream.rulelang.fields import DIAGNOSIS
from stream.rulelang.model import Expected, Rule, RuleSet, Sample

_SHOWN: Final = 8
"""The most values of a judgement in a message."""


@dataclass(frozen=True)
class SampleFailure:
    """A sample that did not do as it says."""

    file: str
    line: int
    rule: str
    sample: str
    message: str

    def __str__(self) -> str:
        return f'{self.file}:{self.line}: rule "{self.rule}", sample "{self.sample}": {self.message}'


def run_samples(ruleset: RuleSet) -> list[SampleFailure]:
    """The failures of all samples of these rules; each rule runs with the rules that inhibit it."""
    failures = []
    for rule in ruleset.rules:
        together = ruleset.only(frozenset(_company(ruleset, rule))) if rule.tests else ruleset
        for sample in rule.tests:
            message, missed = _compare(rule, sample, run_sample(together, rule, sample))
            if message is not None:
                message += "" if missed is None else _why(together, rule, sample, missed)
                failures.append(SampleFailure(rule.file, sample.line, rule.id, sample.name, message))
    return failures


def run_sample(ruleset: RuleSet, rule: Rule, sample: Sample, watch: Watch | None = None) -> list[Diagnosis]:
    """The transitions of this rule over its sample; ``watch`` hears every judgement."""
    engine = Engine(ruleset, experimental=True, watch=watch)
    made = [one for message in messages(rule, sample) for one in engine.process(message)]
    made.extend(engine.drain())
    return [one for one in made if one.rule == rule.id]


def _company(ruleset: RuleSet, rule: Rule) -> set[str]:
    """The rule, its causes and theirs; for a rule on diagnoses, all rules."""
    if rule.on == DIAGNOSIS and rule.absent is None:
        return {one.id for one in ruleset.rules}
    found: set[str] = set()
    waiting = [rule.id]
    while waiting:
        one = ruleset.by_id(waiting.pop())
        if one is not None and one.id not in found:
            found.add(one.id)
            waiting.extend(one.inhibited_by)
    return found


def _compare(rule: Rule, sample: Sample, made: list[Diagnosis]) -> tuple[str | None, Expected | None]:
    """What is wrong, and the first place where the rule should have fired and did not."""
    fired = [one for one in made if one.state == FIRING]
    found = _places(sample.expect, fired, sample)
    if found != sample.expect:
        missed = next((place for place in sample.expect if place not in found), None)
        return _difference("to fire", sample.expect, found), missed
    if sample.resolved is not None:
        found = _places(sample.resolved, [one for one in made if one.state == RESOLVED], sample)
        if found != sample.resolved:
            return _difference("to resolve", sample.resolved, found), None
    return None, None


def _places(
    expected: tuple[Expected, ...], made: Sequence[Diagnosis], sample: Sample
) -> tuple[Expected, ...]:
    likes = [*expected, *[None] * len(made)]
    return tuple(_position(one, likes[index], sample) for index, one in enumerate(made))


def _difference(what: str, expected: tuple[Expected, ...], found: tuple[Expected, ...]) -> str:
    return f"expected it {what} at {_listed(expected)}, got {_listed(found)}"


def _why(ruleset: RuleSet, rule: Rule, sample: Sample, missed: Expected) -> str:
    """What the engine made of the records at the place where the rule should have fired."""
    heard: list[Verdict] = []
    run_sample(ruleset, rule, sample, heard.append)
    there = [one for one in heard if one.rule == rule.id and _is_at(one, missed, sample)]
    if not there:
        return f"; nothing was judged at {missed}"
    last = there[-1]
    values = ", ".join(f"{name} {_short(value)}" for name, value in list(last.values.items())[:_SHOWN])
    detail = f" ({last.detail})" if last.detail else ""
    return f"; at {missed}: {last.outcome}{detail}" + (f", {values}" if values else "")


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)[:60]


def _is_at(verdict: Verdict, place: Expected, sample: Sample) -> bool:
    seconds = verdict.time / SECOND_NS
    if place.rank is not None and (verdict.resource is None or verdict.resource.rank != place.rank):
        return False
    if place.step is not None:
        return verdict.event is not None and verdict.event.step == place.step
    if place.line is not None:
        return round(seconds / sample.every_s) + 1 == place.line
    return seconds == place.at_s


def _position(one: Diagnosis, like: Expected | None, sample: Sample) -> Expected:
    """Where a transition happened, said in the way of the expectation it is compared with."""
    seconds = parse_rfc3339(one.time) / SECOND_NS
    several = len({rank.rank for rank in sample.ranks}) > 1
    rank = one.rank if (like.rank is not None if like else several) else None
    if like.at_s is not None if like else one.step is None and not sample.lines:
        return Expected(at_s=seconds, rank=rank)
    if sample.lines and (like is None or like.line is not None):
        return Expected(line=round(seconds / sample.every_s) + 1, rank=rank)
    return Expected(step=one.step, rank=rank)


def _listed(places: tuple[Expected, ...]) -> str:
    return "; ".join(str(place) for place in places) or "no place"
