"""Building blocks for tests of the engine: rules from text, events, batches, ticks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from emitter.vocabulary import events as words
from emitter.vocabulary.diagnoses import Diagnosis
from stream.diagnose.engine import Engine
from stream.events import VERSION, Batch, Event, Resource, Source, Tick
from stream.rulelang import RuleSet, load_text

SECOND = 1_000_000_000
LARGE = "when: loss > 10"


def rule(body: str, *, name: str = "large", on: str = "train.step", summary: str = "x") -> str:
    """One rule of a pack; ``body`` holds its own lines, separated by newlines."""
    lines = [
        f"- id: {name}",
        "  category: loss_spike",
        f'  summary: "{summary}"',
        f"  on: {on}",
        *body.splitlines(),
    ]
    return "\n".join([lines[0], *(line if line.startswith("  ") else f"  {line}" for line in lines[1:])])


def rules(*texts: str) -> RuleSet:
    """A rule set of these rules."""
    body = "\n".join(texts)
    indented = "\n".join(f"  {line}" for line in body.splitlines())
    return load_text(f"pack: test\nrules:\n{indented}\n", Path("test.yaml"))


def resource(
    rank: int = 0, *, run: str = "run", attempt: int = 0, emitter: str | None = None, **more: Any
) -> Resource:
    """A rank's resource; its emitter has a name of its own."""
    return Resource(run=run, attempt=attempt, rank=rank, emitter=emitter or f"e{attempt}.{rank}", **more)


def step(number: int, *, seq: int | None = None, at: float | None = None, **values: Any) -> Event:
    """A train.step; a second for each step."""
    time = int((number if at is None else at) * SECOND)
    return Event(words.STEP, time, seq=seq, step=number, values=values)


def line(text: str, at: float = 0.0) -> Event:
    """A log line."""
    return Event(words.LOG, int(at * SECOND), body=text)


def beat(at: float, seq: int | None = None) -> Event:
    """A heartbeat."""
    return Event(words.HEARTBEAT, int(at * SECOND), seq=seq, step=7, values={"train.phase": "train"})


def ended(at: float = 0.0, seq: int | None = None) -> Event:
    """The last word of an emitter."""
    return Event(words.LIFECYCLE, int(at * SECOND), seq=seq, values={words.LIFECYCLE_STATE: words.FINISHED})


def tick(
    at: float, *, partition: int = 0, sources: int = 1, gateways: dict[str, float] | None = None
) -> Tick:
    """A clock tick."""
    heard = {name: int(time * SECOND) for name, time in (gateways or {}).items()}
    return Tick(VERSION, partition, int(at * 1000), sources, int(at * SECOND), heard)


class Feed:
    """An engine, and batches with offsets that go up by themselves."""

    def __init__(self, ruleset: RuleSet, **settings: Any) -> None:
        self.engine = Engine(ruleset, **settings)
        self.offset = 0

    def send(self, who: Resource, *events: Event) -> list[Diagnosis]:
        """One batch of one emitter."""
        self.offset += 1
        source = Source("otlp_logs", 0, self.offset, self.offset)
        return self.engine.process(Batch(VERSION, who.run, source, [who], list(events)))

    def tick(self, at: float, **more: Any) -> list[Diagnosis]:
        """One tick."""
        return self.engine.process(tick(at, **more))


def run(ruleset: RuleSet, messages: Iterable[Batch | Tick]) -> list[Diagnosis]:
    """All transitions of a fresh engine."""
    engine = Engine(ruleset)
    return [made for message in messages for made in engine.process(message)]


def story(made: Sequence[Diagnosis]) -> list[tuple[Any, ...]]:
    """The transitions in short: rule, state, rank, step, reason."""
    return [(one.rule, one.state, one.rank, one.step, one.evidence.get("reason")) for one in made]
