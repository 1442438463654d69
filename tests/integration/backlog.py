"""Half an hour of records as they lie on Kafka while no worker reads: written in one go, with their times."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from aiokafka import AIOKafkaProducer

from emitter._records import LOGS, Log
from emitter.otlp import encoder
from emitter.vocabulary import attributes, topics
from emitter.vocabulary import events as vocabulary
from stream.kafka import reach
from stream.otlp.beacon import beacon_request

RULES: Final = """
pack: backlog
rules:
  - id: backlog-explosion
    category: grad_explosion
    summary: "Gradient norm {grad_norm:.3g} (rank {rank}, step {step})"
    on: train.step
    when: grad_norm > 20
    severity: warning
    then:
      - save: {}
  - id: backlog-silence
    category: unreachable
    summary: "No heartbeat of rank {rank}"
    absent: {of: train.heartbeat, for: 120s}
    severity: warning
"""
EXPLOSION, SILENCE = "backlog-explosion", "backlog-silence"
MINUTES: Final = 30
FLUSH_S: Final = 30
SILENT_MINUTES: Final = (10, 15)
_BEACON_S: Final = 5
_SECOND: Final = 1_000_000_000


class Written(NamedTuple):
    """A record of ``otlp_logs``."""

    time_ns: int
    key: str | None
    partition: int | None
    value: bytes


@dataclass
class Backlog:
    """Runs of ``ranks`` ranks, a step a second, up to ``end_ns``.

    In ``early`` the gradient explodes in minute 5 and the last rank is silent for five minutes; in ``now`` it
    explodes half a minute before the end; the ``others`` are calm.
    """

    end_ns: int
    ranks: int = 4
    others: int = 0
    partitions: int = 2
    early: str = "early"
    now: str = "now"
    events: int = 0

    @property
    def start_ns(self) -> int:
        return self.end_ns - MINUTES * 60 * _SECOND

    def records(self) -> list[Written]:
        """All of them, in the order of their times."""
        names = [self.early, self.now, *(f"calm-{number}" for number in range(self.others))]
        ranks = (self._rank(name, rank) for name in names for rank in range(self.ranks))
        return sorted(itertools.chain(self._beacons(), *ranks), key=lambda one: one.time_ns)

    def _beacons(self) -> Iterator[Written]:
        for time_ns in range(self.start_ns, self.end_ns, _BEACON_S * _SECOND):
            for partition in range(self.partitions):
                yield Written(time_ns, None, partition, beacon_request(time_ns, "gateway"))

    def _rank(self, run: str, rank: int) -> Iterator[Written]:
        emitter, seq = f"{run}/{rank}", itertools.count()
        made = encoder.Encoder({
            attributes.RUN_ID: run, attributes.RANK: rank, attributes.WORLD_SIZE: self.ranks,
            attributes.EMITTER_ID: emitter, attributes.ATTEMPT: 0,
        })  # fmt: skip
        for minute_s in range(0, MINUTES * 60, FLUSH_S):
            if self._silent(run, rank, minute_s):
                continue
            logs = [self._step(run, rank, minute_s + second) for second in range(FLUSH_S)]
            sent_ns = self.start_ns + (minute_s + FLUSH_S) * _SECOND
            beat = Log(0, sent_ns, vocabulary.HEARTBEAT, {attributes.PHASE: "train"})
            parts = [
                encoder.log(one._replace(attributes={attributes.SEQ: next(seq), **one.attributes}))
                for one in (*logs, beat)
            ]
            self.events += len(parts)
            yield Written(sent_ns, emitter, None, made.payload(LOGS, parts, len(parts)).body)

    def _silent(self, run: str, rank: int, second: int) -> bool:
        first, last = SILENT_MINUTES
        return run == self.early and rank == self.ranks - 1 and first * 60 <= second < last * 60

    def _step(self, run: str, rank: int, second: int) -> Log:
        bad = {self.early: 5 * 60, self.now: MINUTES * 60 - 30}.get(run)
        norm = 99.0 if rank == 0 and second == bad else 1.0
        values: dict[str, int | float | str] = {attributes.STEP: second, "loss": 1.0, "grad_norm": norm}
        return Log(0, self.start_ns + second * _SECOND, vocabulary.STEP, values)


async def write(kafka: str, records: list[Written]) -> None:
    """Put them on the broker, each with its own time."""
    async with AIOKafkaProducer(**reach(kafka), enable_idempotence=False, linger_ms=5) as producer:
        for one in records:
            key = one.key.encode() if one.key else None
            milliseconds = one.time_ns // 1_000_000
            await producer.send(topics.OTLP_LOGS, one.value, key, one.partition, milliseconds)
        await producer.flush()
