"""The samples that rules carry, run through the real engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emitter.vocabulary.cloudevents import parse_rfc3339
from emitter.vocabulary.diagnoses import FIRING, RESOLVED, Diagnosis
from stream.diagnose.engine import Engine
from stream.diagnose.sample_story import SECOND_NS, messages
from stream.rulelang.fields import DIAGNOSIS
from stream.rulelang.model import Expected, Rule, RuleSet, Sample


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
            message = _compare(rule, sample, run_sample(together, rule, sample))
            if message is not None:
                failures.append(SampleFailure(rule.file, sample.line, rule.id, sample.name, message))
    return failures


def run_sample(ruleset: RuleSet, rule: Rule, sample: Sample) -> list[Diagnosis]:
    """The transitions of this rule over its sample."""
    engine = Engine(ruleset, experimental=True)
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


def _compare(rule: Rule, sample: Sample, made: list[Diagnosis]) -> str | None:
    fired = [one for one in made if one.state == FIRING]
    message = _difference("to fire", sample.expect, fired, sample)
    if message is None and sample.resolved is not None:
        ended = [one for one in made if one.state == RESOLVED]
        message = _difference("to resolve", sample.resolved, ended, sample)
    return message


def _difference(
    what: str, expected: tuple[Expected, ...], made: Sequence[Diagnosis], sample: Sample
) -> str | None:
    found = tuple(
        _position(one, expected[index] if index < len(expected) else None, sample)
        for index, one in enumerate(made)
    )
    if found == expected:
        return None
    return f"expected it {what} at {_listed(expected)}, got {_listed(found)}"


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
