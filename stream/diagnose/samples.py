"""The samples that rules carry, run through the real engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from emitter.vocabulary import events as words
from emitter.vocabulary.attributes import PHASE
from emitter.vocabulary.cloudevents import parse_rfc3339
from emitter.vocabulary.diagnoses import FIRING, RESOLVED, Diagnosis
from emitter.vocabulary.metrics import canonical
from stream.diagnose.engine import Engine
from stream.events import VERSION, Batch, Event, Message, Resource, Source, Tick
from stream.rulelang.model import Expected, Rule, RuleSet, Sample

_RUN: Final = "sample"
_SECOND_NS: Final = 1_000_000_000


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
        together = ruleset.only(frozenset((rule.id, *rule.inhibited_by)))
        for sample in rule.tests:
            message = _compare(rule, sample, run_sample(together, rule, sample))
            if message is not None:
                failures.append(SampleFailure(rule.file, sample.line, rule.id, sample.name, message))
    return failures


def run_sample(ruleset: RuleSet, rule: Rule, sample: Sample) -> list[Diagnosis]:
    """The transitions of this rule over its sample."""
    engine = Engine(ruleset, experimental=True)
    made = [one for message in _messages(rule, sample) for one in engine.process(message)]
    return [one for one in made if one.rule == rule.id]


def _messages(rule: Rule, sample: Sample) -> Iterator[Message]:
    """One batch for each step or line, and a tick at its time, so that clocks move as in a live run."""
    resource = Resource(run=_RUN, rank=0, node="node-0")
    every_ns = int(sample.every_s * _SECOND_NS)
    time = 0
    for index, event in enumerate(_events(rule, sample)):
        time = index * every_ns
        if event is not None:
            yield Batch(VERSION, _RUN, Source("sample", 0, index, index), [resource], [event])
        yield Tick(VERSION, 0, index, 1, time)
    if rule.log is not None:
        yield Tick(VERSION, 0, 1 << 40, 1, time + int(rule.keep_firing_s * _SECOND_NS) + every_ns)


def _events(rule: Rule, sample: Sample) -> Iterator[Event | None]:
    every_ns = int(sample.every_s * _SECOND_NS)
    for index, line in enumerate(sample.lines):
        yield Event(words.LOG, index * every_ns, body=line)
    length = max((len(values) for values in sample.series.values()), default=0)
    for index in range(length):
        values: dict[str, Any] = {}
        for name, series in sample.series.items():
            value = series[index] if index < len(series) else None
            if value is not None:
                values[canonical(name)] = value
        if rule.absent is None:
            yield Event(rule.on, index * every_ns, step=index, values=values)
        elif values:
            yield Event(rule.on, index * every_ns, step=index, values={PHASE: "train"})
        else:
            yield None


def _compare(rule: Rule, sample: Sample, made: list[Diagnosis]) -> str | None:
    fired = [one for one in made if one.state == FIRING]
    message = _difference("to fire", sample.expect, fired, sample)
    if message is None and sample.resolved is not None:
        ended = [one for one in made if one.state == RESOLVED]
        message = _difference("to resolve", sample.resolved, ended, sample)
    return message


def _difference(
    what: str, expected: tuple[Expected, ...], made: list[Diagnosis], sample: Sample
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
    seconds = parse_rfc3339(one.time) / _SECOND_NS
    if like is not None and like.at_s is not None:
        return Expected(at_s=seconds)
    if sample.lines and (like is None or like.line is not None):
        return Expected(line=round(seconds / sample.every_s) + 1)
    return Expected(step=one.step)


def _listed(places: tuple[Expected, ...]) -> str:
    return "; ".join(str(place) for place in places) or "no place"
