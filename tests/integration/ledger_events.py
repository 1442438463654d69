"""Numbered events of many simulated ranks, with faults at known steps, and what an undisturbed loop says.

Requests are put together by the emitter's own encoder, as a flush of an emitter is.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from emitter._records import INFO, LOGS, Log
from emitter.otlp import encoder
from emitter.vocabulary import attributes, topics
from emitter.vocabulary import events as vocabulary
from emitter.vocabulary.diagnoses import Diagnosis
from stream import events
from stream.diagnose.engine import Engine
from stream.ingest.messages import ingest
from stream.records import Incoming
from stream.rulelang import load_texts

RULES: Final = """
pack: ledger
rules:
  - id: ledger-explosion
    category: grad_explosion
    summary: "Gradient norm {grad_norm:.3g} (rank {rank}, step {step})"
    on: train.step
    when: grad_norm > 20
    severity: warning
    then:
      - save: {}
  - id: ledger-three
    category: loss_spike
    summary: "Three losses in a row above 50 (rank {rank}, step {step})"
    on: train.step
    when: loss > 50
    for: 3
  - id: ledger-seconds
    category: kl_explosion
    summary: "KL above 5 for six seconds (rank {rank}, step {step})"
    on: train.step
    when: kl > 5
    for: 6s
  - id: ledger-window
    category: throughput_drop
    summary: "Half of what ten minutes say (rank {rank}, step {step})"
    on: train.step
    let: {typical: 'median(tokens_per_second, over="10m")'}
    when: tokens_per_second < 0.5 * typical
    for: 4
  - id: ledger-peers
    category: straggler
    summary: "Slower than the others (rank {rank}, step {step})"
    on: train.step
    when: peers.count(step_time) >= 2 and step_time > 2 * peers.median(step_time)
    for: 5
  - id: ledger-line
    category: python_exception
    summary: "A line (rank {rank})"
    on: train.log
    match: 'LEDGER FAULT (?P<number>\\d+)'
"""
KINDS: Final = RULES.count("- id:")
COMMANDING: Final = "ledger-explosion"
Values = dict[str, int | float | str]
STEPS: Final = 20
"""Steps of a rank in a flush, which is a second of event time."""
_SECOND: Final = 1_000_000_000


class Request(NamedTuple):
    """One flush of one rank: when it is due (s after the beginning), and its bytes."""

    due_s: float
    emitter: str
    run: str
    body: bytes
    records: int


@dataclass
class Load:
    """``runs`` x ``ranks`` emitters, ``flushes`` of each; event times begin at ``start_ns``."""

    name: str
    start_ns: int
    runs: int = 8
    ranks: int = 8
    flushes: int = 20
    pace: float = 1.0
    """Seconds of event time in a second of the sender's."""
    records: Counter[str] = field(default_factory=Counter)
    """How many records of each event; and ``values``, the numbers in those of train.step."""

    def __post_init__(self) -> None:
        each = (self._emitter(*who) for who in itertools.product(range(self.runs), range(self.ranks)))
        self.requests = sorted(itertools.chain.from_iterable(each))

    def __str__(self) -> str:
        return f"{self.total} events of {self.runs * self.ranks} ranks in {self.runs} runs"

    @property
    def run_ids(self) -> list[str]:
        return [f"{self.name}-{number}" for number in range(self.runs)]

    @property
    def total(self) -> int:
        """Numbered records."""
        return sum(request.records for request in self.requests)

    def _emitter(self, run: int, rank: int) -> Iterator[Request]:
        name = f"{self.name}-{run}"
        emitter = f"{name}/{rank}"
        made = encoder.Encoder({
            attributes.SERVICE_NAME: "trainer", attributes.RUN_ID: name, attributes.RUN_NAME: name,
            attributes.RANK: rank, attributes.WORLD_SIZE: self.ranks, attributes.EMITTER_ID: emitter,
            attributes.HOST_NAME: f"node-{rank // 4}", attributes.ATTEMPT: 0,
        })  # fmt: skip
        seq = itertools.count()
        for flush in range(self.flushes):
            parts = [
                encoder.log(one._replace(attributes={attributes.SEQ: next(seq), **one.attributes}))
                for one in self._flush(run, rank, flush)
            ]
            body = made.payload(LOGS, parts, len(parts)).body
            due_s = (flush + 1 + rank / self.ranks / 2) / self.pace
            yield Request(due_s, emitter, name, body, len(parts))

    def _flush(self, run: int, rank: int, flush: int) -> list[Log]:
        """The records of one second."""
        first = self.start_ns + flush * _SECOND + rank * 1_000_000
        found = []
        if flush == 0:
            found.append(
                self._log(first, vocabulary.LIFECYCLE, {vocabulary.LIFECYCLE_STATE: vocabulary.STARTED})
            )
        for place in range(STEPS):
            step = flush * STEPS + place
            values: Values = {attributes.STEP: step, **self._numbers(run, rank, step)}
            self.records["values"] += len(values) - 1
            found.append(self._log(first + place * _SECOND // STEPS, vocabulary.STEP, values))
        last = first + _SECOND - 10_000_000
        beat: Values = {attributes.PHASE: "train", attributes.STEP: flush * STEPS}
        found.append(self._log(last, vocabulary.HEARTBEAT, beat))
        found.append(self._log(last, vocabulary.RESOURCE, {"process.memory.usage": 1e9 + flush}))
        found.append(self._log(last, vocabulary.LOG, {}, self._line(run, rank, flush)))
        if flush % 5 == 4:
            found.append(self._log(last, vocabulary.EVAL, {attributes.STEP: flush * STEPS, "eval_loss": 1.5}))
        if flush == self.flushes - 1:
            ended: Values = {vocabulary.LIFECYCLE_STATE: vocabulary.FINISHED}
            found.append(self._log(last + 1_000_000, vocabulary.LIFECYCLE, ended))
        return found

    def _log(
        self, time_ns: int, name: str, values: dict[str, int | float | str], body: str | None = None
    ) -> Log:
        self.records[name] += 1
        return Log(0, time_ns, name, values, body, INFO if body else 0)

    def _line(self, run: int, rank: int, flush: int) -> str:
        if (rank, flush) == (run % self.ranks, self.flushes // 2):
            return f"LEDGER FAULT {run}"
        return f"epoch {flush} goes on"

    def _numbers(self, run: int, rank: int, step: int) -> Values:
        """What a rank logs at a step: calm, but for its faults."""
        calm = random.Random(f"{run}/{rank}/{step}").uniform(0.95, 1.05)
        values: Values = {
            "loss": calm, "grad_norm": calm, "kl": calm, "tokens_per_second": 1000 * calm,
            "step_time": 0.05 * calm,
        }  # fmt: skip
        middle = self.flushes // 2 * STEPS
        # Over the ends of flushes, so that a worker dies in the middle of what it waits for.
        faults = {
            0: ("grad_norm", 99.0, middle + run, 1),
            1: ("loss", 99.0, middle - 2, 5),
            2: ("kl", 9.0, middle - 3 * STEPS, 8 * STEPS),
            3: ("tokens_per_second", 100.0, middle + STEPS, 2 * STEPS),
            4: ("step_time", 0.5, middle, 2 * STEPS),
        }
        fault = faults.get((rank - run) % self.ranks)
        if fault is not None:
            name, value, begin, steps = fault
            if begin <= step < begin + steps:
                values[name] = value
        return values


def undisturbed(load: Load) -> list[Diagnosis]:
    """What one loop that nobody disturbs concludes: the stages themselves, in one process, in order."""
    engine, found = Engine(load_texts({"ledger.yaml": RULES})), []
    for offset, request in enumerate(load.requests):
        record = Incoming(topics.OTLP_LOGS, 0, offset, request.body, request.emitter.encode())
        for made in ingest(record, 1):
            message = events.decode(made.value)
            assert isinstance(message, events.Batch)
            found += engine.process(message)
    return found
