"""The side of the partitions: what diagnoses, answers, events and people's words mean to remediation."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

from emitter.signing import SignatureError
from emitter.vocabulary import cloudevents, commands, control, diagnoses, topics
from emitter.vocabulary.diagnoses import Diagnosis
from stream import events
from stream.progress import Place, Progress
from stream.records import BadRecordError, Incoming, Outgoing, Ticks
from stream.remediate import reports
from stream.remediate.clock import Clock
from stream.remediate.facts import Fact, facts_of
from stream.remediate.plan import plan_of
from stream.remediate.reports import Report, Word, source_of
from stream.rulebook import bundle
from stream.rulelang import RuleErrors, RuleSet

log = logging.getLogger(__name__)

RELEVANT_KINDS: Final = frozenset({"tick", "lifecycle", "checkpoint", "rules", "gpu"})
TICK_NS: Final = 10**9
IDLE_TICK_NS: Final = 15 * 10**9
ACTIVE_NS: Final = 600 * 10**9
"""Clock records: one a second while something was reported in the last ten minutes, else one in fifteen."""
REMEMBERED_GPUS: Final = 100_000
_STRINGS: Final = ("id", "rule", "category", "state", "run", "time", "summary")

Believe = Callable[[bytes, dict[str, bytes]], str]
"""The id of the operator's key that signed these bytes. Raises SignatureError."""


class _Partition:
    def __init__(self) -> None:
        self.progress, self.clock = Progress(), Clock()
        self.rules: RuleSet | None = None
        self.told_ns = self.active_ns = 0
        self.gpus: set[tuple[str, Fact]] = set()

    def first_of(self, run: str, facts: list[Fact]) -> tuple[Fact, ...]:
        """The facts without those about GPUs that were told: every sample repeats them."""
        kept = []
        for fact in facts:
            about = (run, Fact(fact.attempt, 0, fact.rank, gpu=fact.gpu))
            if fact.gpu is None or about not in self.gpus:
                kept.append(fact)
            if fact.gpu is not None:
                if len(self.gpus) >= REMEMBERED_GPUS:
                    self.gpus.clear()
                self.gpus.add(about)
        return tuple(kept)


class Reporter:
    """What this worker knows of the partitions it holds. ``now``: the wall clock in nanoseconds.

    ``acks`` counts acknowledgements by state.
    """

    def __init__(self, rules: RuleSet, believe: Believe, now: Callable[[], int]) -> None:
        self._rules, self._believe, self._now = rules, believe, now
        self._held: dict[int, _Partition] = {}
        self.acks: Counter[str] = Counter()

    def keep(self, partitions: Iterable[int]) -> None:
        """Forget all other partitions: another worker goes on with them."""
        for number in set(self._held) - set(partitions):
            del self._held[number]

    def diagnosis(self, record: Incoming) -> list[Outgoing]:
        """A record of ``train.diagnoses``. Raises BadRecordError."""
        diagnosis, held = read_diagnosis(record.value), self._partition(record.partition)
        if diagnosis.state == diagnoses.PENDING:
            return []
        rule = (held.rules or self._rules).by_id(diagnosis.rule)
        plan = plan_of(rule) if rule is not None else None
        return self._tell(record, held, diagnosis.run, diagnosis=diagnosis.to_json(), plan=plan)

    def ack(self, record: Incoming) -> list[Outgoing]:
        """A record of ``remediation.acks``. Raises BadRecordError."""
        try:
            ack = commands.decode_ack(record.value)
        except cloudevents.CloudEventError as error:
            raise BadRecordError(str(error)) from None
        self.acks[ack.state] += 1
        return self._tell(record, self._partition(record.partition), ack.run, ack=ack.to_json())

    def word(self, record: Incoming) -> list[Outgoing]:
        """A record of ``remediation.control``, checked here and now. Raises BadRecordError."""
        try:
            said = control.decode_control(record.value)
        except cloudevents.CloudEventError as error:
            raise BadRecordError(str(error)) from None
        key, refused = None, None
        try:
            key = self._believe(record.value, dict(record.headers))
        except SignatureError as error:
            refused = f"{error.reason}: {error}"
        word = Word(said.id, said.to_json(), key, refused)
        return [reports.encode(Report(source_of(record), self._now(), word=word))]

    def event(self, record: Incoming) -> list[Outgoing]:
        """A record of ``train.events``, most of which do not matter here. Raises BadRecordError."""
        held = self._partition(record.partition)
        place = held.progress.place(record)
        if place is Place.REPEATED:
            return []
        if place is not Place.NEXT:
            log.warning(
                "%s[%d]: records come %s, the clock begins afresh",
                record.topic,
                record.partition,
                place.value,
            )
            held.clock = Clock()
        kinds = record.header(topics.HEADER_KINDS)
        if kinds is not None and not RELEVANT_KINDS & set(kinds.split(",")):
            return []
        try:
            message = events.decode(record.value)
        except events.EventsError as error:
            raise BadRecordError(str(error)) from None
        if isinstance(message, events.Rules):
            return self._switch(held, message)
        return (
            self._tick(record, held, message)
            if isinstance(message, events.Tick)
            else self._facts(record, held, message)
        )

    def _tick(self, record: Incoming, held: _Partition, tick: events.Tick) -> list[Outgoing]:
        held.clock.hear(tick)
        now = held.clock.now_ns
        every = TICK_NS if now is not None and now - held.active_ns < ACTIVE_NS else IDLE_TICK_NS
        if now is None or now - held.told_ns < every:
            return Ticks()
        held.told_ns = now
        return Ticks([reports.encode(Report(source_of(record), self._now(), now))])

    def _facts(self, record: Incoming, held: _Partition, batch: events.Batch) -> list[Outgoing]:
        facts, source = held.first_of(batch.run, facts_of(batch)), batch.source
        if not facts:
            return []
        place = (source.topic, source.partition, source.last)
        return self._tell(record, held, batch.run, facts=facts, batch=place)

    def _switch(self, held: _Partition, message: events.Rules) -> list[Outgoing]:
        try:
            self._rules = held.rules = bundle.loaded(message.bundle)
        except (bundle.BundleError, RuleErrors) as error:
            raise BadRecordError(f"rules {message.digest}: {error}") from None
        return []

    def _tell(self, record: Incoming, held: _Partition, run: str, **content: Any) -> list[Outgoing]:
        held.active_ns = max(held.active_ns, held.clock.now_ns or 0)
        return [reports.encode(Report(source_of(record), self._now(), held.clock.now_ns, run, **content))]

    def _partition(self, number: int) -> _Partition:
        return self._held.setdefault(number, _Partition())


def read_diagnosis(payload: bytes) -> Diagnosis:
    """A diagnosis whose fields have the types that policy relies on. Raises BadRecordError."""
    try:
        diagnosis = diagnoses.decode(payload)
        cloudevents.parse_rfc3339(diagnosis.time)
    except (cloudevents.CloudEventError, TypeError, ValueError, AttributeError) as error:
        raise BadRecordError(f"diagnosis: {error}") from None
    for name in _STRINGS:
        if not isinstance(getattr(diagnosis, name), str):
            raise BadRecordError(
                f"diagnosis: expected `{name}` to be a string, got {getattr(diagnosis, name)!r}"
            )
    if type(diagnosis.attempt) is not int:
        raise BadRecordError(f"diagnosis: expected `attempt` to be an integer, got {diagnosis.attempt!r}")
    if not isinstance(diagnosis.evidence, dict):
        raise BadRecordError(f"diagnosis: expected `evidence` to be an object, got {diagnosis.evidence!r}")
    return diagnosis
