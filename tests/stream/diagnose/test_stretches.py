"""Stretches: judging rule by rule what looks alike gives what judging event by event gives, bit for bit."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stream import resources
from stream.diagnose.engine import Engine
from stream.events import VERSION, Batch, Event, Source
from stream.rulelang import RuleErrors, RuleSet, load_packs
from tests.stream.diagnose.stories import beat, ended, resource, rule, rules, step, tick
from tests.stream.diagnose.streams import encoded

PACKS = load_packs([resources.path("rules")])
NAMES = ("grad_norm", "learning_rate", "tokens_per_second", "step_time", "data_time", "kl", "reward_mean",
         "entropy", "value_loss", "reward_std", "reward_zero_share")  # fmt: skip


def _same(ruleset: RuleSet, batches: list[Batch]) -> list[bytes]:
    """What an engine says that may judge stretches; one that is watched looks at every sample."""
    quick, told = Engine(ruleset), Engine(ruleset, watch=lambda _: None)
    said: list[bytes] = []
    for batch in batches:
        made = encoded(quick.process(batch))
        assert made == encoded(told.process(batch))
        said += made
    assert quick.snapshot() == told.snapshot()
    quick.process(tick(1e9))
    told.process(tick(1e9))
    assert quick.snapshot() == told.snapshot()
    return said


def _cut(events: list[Event], size: int) -> list[Batch]:
    return [
        Batch(
            VERSION, "run", Source("otlp_logs", 0, start, start), [resource()], events[start : start + size]
        )
        for start in range(0, len(events), size)
    ]


def _history(random: Random, size: int) -> list[Event]:
    """A made-up run with jumps, gaps and values that are no numbers."""
    names, loss, kind = (
        random.sample(NAMES, random.randint(1, 9)),
        random.choice([0.5, 3.0, 8.0]),
        random.random(),
    )
    found = []
    for number in range(size):
        loss = loss * 1.01 if kind > 0.9 else max(0.0, loss * (1 + random.gauss(0, 0.01)) - 0.002)
        values: dict[str, Any] = {"loss": loss + random.gauss(0, 0.05)}
        if random.random() < 0.005:
            values["loss"] *= random.choice([5, 50, math.nan, math.inf, 0])
        for name in names:
            unusual = random.choice([100, 0, 10, math.nan]) if random.random() < 0.004 else 1
            values[name] = abs(random.gauss(1, 0.2)) * unusual
        if kind < 0.2 and random.random() < 0.02:
            values[names[0]] = random.choice([None, 7, 10**400, "text"])
        found.append(step(number, seq=number, at=0.5 * number, **values))
    return found


@settings(max_examples=15)
@given(st.integers(0, 10**9), st.integers(20, 400), st.sampled_from([7, 16, 100, 300]))
def test_all_packs_say_the_same(seed: int, size: int, cut: int) -> None:
    """Diagnoses and the whole state, over runs with everything that goes wrong in them."""
    _same(PACKS, _cut(_history(Random(seed), size), cut))


FIELDS = ("loss", "loss", "grad_norm", "kl", "step")
STATISTICS = (
    "count", "first", "last", "delta", "rate", "slope", "changes", "sum", "mean", "std", "zscore", "ema",
    "min", "max", "median", "mad", "quantile",
)  # fmt: skip


class _Writer:
    """Writes rules by chance: small expressions, so that what they say changes with what is logged."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def rule(self, number: int) -> str:
        choose = self.random.choice
        lets = f'x: "{self.number(2)}", y: "{self.truth(1)}"'
        when = f"(x {choose('<>')} {self.number(1)} {choose(['and', 'or'])} y) and {self.truth(0)}"
        body = f"learn: {choose(['all', 'calm'])}\nlet: {{{lets}}}\nwhen: {when}"
        where = choose(["", "", f'where: "{choose(["loss", "grad_norm"])} {choose("<>")} {self.plain()}"\n'])
        return rule(where + body, name=f"r{number}")

    def plain(self) -> str:
        return self.random.choice(["0.5", "1.4", "2.0", "3.0", "8.0", "loss", "grad_norm"])

    def number(self, depth: int) -> str:
        choose, kind = self.random.choice, self.random.random()
        if depth == 0 or kind < 0.15:
            return choose([*FIELDS, *FIELDS, "0.5", "2.0", "0 / 0"])
        inner = self.number(depth - 1)
        if kind < 0.6:
            share = ", 0.9" if (name := choose(STATISTICS)) == "quantile" else ""
            return f"{name}({inner}{share}, last={choose([1, 3, 8, 20])})"
        if kind < 0.75:
            return f"({inner} {choose('+-*/%')} {self.number(depth - 1)})"
        if kind < 0.85:
            return f"{choose(['min', 'max'])}({inner}, {self.number(depth - 1)})"
        if kind < 0.93:
            return f"{choose(['abs', 'log', 'exp', 'sqrt', 'floor', 'ceil', '-'])}({inner})"
        return f"({inner} if {self.truth(0)} else {self.number(depth - 1)})"

    def truth(self, depth: int) -> str:
        choose, kind = self.random.choice, self.random.random()
        if depth == 0 or kind < 0.6:
            simple = f"{self.number(1)} {choose(['<', '<=', '>', '>=', '==', '!='])} {self.plain()}"
            return choose([simple, simple, simple, "has(kl)", "isfinite(kl)", "not isnan(loss)"])
        if kind < 0.8:
            return f"({self.truth(depth - 1)} {choose(['and', 'or'])} {self.truth(depth - 1)})"
        return f"not ({self.truth(depth - 1)})"


def _loadable(texts: list[str]) -> RuleSet:
    """The rules among these that say something; the checker refuses those that cannot."""
    kept = []
    for text in texts:
        with contextlib.suppress(RuleErrors):
            rules(text)
            kept.append(text)
    return rules(*kept)


@settings(max_examples=25)
@given(st.integers(0, 10**9), st.sampled_from([8, 30, 100]))
def test_any_rule_says_the_same(seed: int, cut: int) -> None:
    """Rules written by chance over values by chance: no screen passes over a match, no window differs."""
    random = Random(seed)
    writer = _Writer(random)
    ruleset = _loadable([writer.rule(number) for number in range(25)])
    kl, losses, norms = random.random() < 0.5, _levels(random), _levels(random)
    events = []
    for number in range(200):
        values = {"loss": next(losses), "grad_norm": next(norms)}
        events.append(step(number, seq=number, **values, **({"kl": values["loss"] - 1.5} if kl else {})))
    _same(ruleset, _cut(events, cut))


def _levels(random: Random) -> Iterator[float]:
    """Numbers that stay on a level for a while: nothing happens, then something does."""
    while True:
        level, spread = random.choice([-1.0, 0.0, 1.0, 1.5, 2.0, 9.0, 1e6]), random.choice([0.0, 0.1, 0.6])
        for _ in range(random.randint(1, 60)):
            yield level + spread * random.random()


def test_what_comes_between_is_told_in_its_turn() -> None:
    """Absences, windows of other events and rules on diagnosis see the events of a stretch in order."""
    hang = """- id: hang
  category: hang
  summary: "no step"
  absent: {of: train.step, for: 3s, times: 3, phases: [train]}"""
    ruleset = rules(
        rule("when: loss > 5", name="high"),
        rule("with: {seen: 'max(train.step.loss, last=50)'}\nwhen: eval_loss > seen", name="over",
             on="train.eval"),
        rule("with: {seen: 'last(train.step.loss)'}\nwhen: state == 'firing' and seen > 0", name="echo",
             on="diagnosis"),
        hang,
    )  # fmt: skip
    losses = [1.0] * 20 + [9.0] * 2 + [1.0] * 20
    events: list[Event] = []
    for number, loss in enumerate(losses):
        events.append(step(number, seq=len(events), loss=loss))
    events += [beat(300.0, len(events))]
    events += [step(300 + number, seq=len(events) + number, loss=2.0) for number in range(12)]
    events += [Event("train.eval", 400 * 10**9, seq=len(events), values={"eval_loss": 9.5})]
    events += [ended(401.0, len(events))]
    said = _same(ruleset, _cut(events, 64))
    assert len([one for one in said if b'"firing"' in one]) == 6


def test_several_ranks_meet_in_their_steps_all_the_same() -> None:
    """Stretches of several ranks, with rules that compare them."""
    ruleset = rules(
        rule("when: step_time > 2 * peers.median(step_time) and count(step_time, last=9) > 3", name="slow"),
        rule("learn: calm\nwhen: loss > 3 * median(loss, last=8)", name="jump"),
        rule("by: [run]\nwhen: loss > 50", name="any"),
    )
    random, messages, offset = Random(5), [], 0
    quick, told = Engine(ruleset), Engine(ruleset, watch=lambda _: None)
    said = 0
    for block in range(12):
        for rank in range(4):
            events = [
                step(number, seq=number, at=number + 0.1 * rank, loss=random.choice([1.0, 1.1, 1.2, 60.0]),
                     step_time=5.0 if rank == 2 and block > 6 else 1.0)
                for number in range(block * 10, block * 10 + 10)
            ]  # fmt: skip
            messages.append(
                Batch(
                    VERSION,
                    "run",
                    Source("otlp_logs", 0, offset, offset),
                    [resource(rank, world_size=4)],
                    events,
                )
            )
            offset += 1
    for message in messages:
        made = encoded(quick.process(message))
        assert sorted(made) == sorted(encoded(told.process(message)))
        said += len(made)
    assert said > 20
    assert quick.snapshot() == told.snapshot()


def test_what_is_not_there_is_no_number_to_a_screen() -> None:
    """A comparison with a value that these events lack is false, so that its negation holds."""
    ruleset = rules(rule("when: not (kl < 2) and (has(kl) or loss > 0)"))
    said = _same(ruleset, _cut([step(number, seq=number, loss=1.0) for number in range(20)], 20))
    assert len(said) == 1
