"""From records of the three topics that remediation reads to decisions, partition by partition."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Final

from emitter.vocabulary import cloudevents, commands, diagnoses, topics
from emitter.vocabulary.diagnoses import Diagnosis
from stream import events
from stream.progress import Place, Progress
from stream.records import BadRecordError, Incoming, Outgoing, Ticks
from stream.remediate import decisions
from stream.remediate.decisions import Decision
from stream.remediate.policy import Policy
from stream.remediate.state import State
from stream.rulebook import bundle
from stream.rulelang import RuleErrors

log = logging.getLogger(__name__)

RELEVANT_KINDS: Final = frozenset({"tick", "lifecycle", "checkpoint", "rules"})
_STRINGS: Final = ("id", "rule", "category", "state", "run", "time", "summary")


class Inbox:
    """State of all partitions this worker holds. ``now`` is the wall clock in nanoseconds.

    ``sign`` signs commands; without it none is sent.
    """

    def __init__(self, policy: Policy, now: Callable[[], int], sign: decisions.Sign | None) -> None:
        self._policy, self._now, self._sign = policy, now, sign
        self._switched: dict[int, Policy] = {}
        self._states: dict[int, State] = {}
        self._progress: dict[int, Progress] = {}

    def keep(self, partitions: Iterable[int]) -> None:
        """Forget the state of all other partitions: another worker goes on with them."""
        kept = set(partitions)
        for number in set(self._states) - kept:
            del self._states[number]
        for number in set(self._progress) - kept:
            del self._progress[number]
            self._switched.pop(number, None)

    def diagnosis(self, record: Incoming) -> list[Outgoing]:
        """A record of ``train.diagnoses``. Raises BadRecordError."""
        diagnosis, policy = read_diagnosis(record.value), self._policy_of(record.partition)
        return self._write(policy.diagnosis(self._state(record), diagnosis, self._now()))

    def ack(self, record: Incoming) -> list[Outgoing]:
        """A record of ``remediation.acks``. Raises BadRecordError."""
        try:
            ack = commands.decode_ack(record.value)
        except cloudevents.CloudEventError as error:
            raise BadRecordError(str(error)) from None
        return self._write(self._policy_of(record.partition).ack(self._state(record), ack, self._now()))

    def event(self, record: Incoming) -> list[Outgoing]:
        """A record of ``train.events``, most of which do not matter here. Raises BadRecordError."""
        place = self._progress.setdefault(record.partition, Progress()).place(record)
        if place is Place.REPEATED:
            return []
        if place is not Place.NEXT:
            log.warning(
                "%s[%d]: records come %s, beginning afresh", record.topic, record.partition, place.value
            )
            self._states.pop(record.partition, None)
        kinds = record.header(topics.HEADER_KINDS)
        if kinds is not None and not RELEVANT_KINDS & set(kinds.split(",")):
            return []
        try:
            message = events.decode(record.value)
        except events.EventsError as error:
            raise BadRecordError(str(error)) from None
        if isinstance(message, events.Rules):
            return self._switch(record.partition, message)
        state = self._state(record)
        if isinstance(message, events.Tick):
            return Ticks(self._write(self._policy_of(record.partition).tick(state, message, self._now())))
        return self._write(self._batch(self._policy_of(record.partition), state, message))

    def _switch(self, partition: int, message: events.Rules) -> list[Outgoing]:
        try:
            rules = bundle.loaded(message.bundle)
        except (bundle.BundleError, RuleErrors) as error:
            raise BadRecordError(f"rules {message.digest}: {error}") from None
        self._policy = self._switched[partition] = self._policy.under(rules)
        return []

    def _policy_of(self, partition: int) -> Policy:
        """Each partition switches at its own offset; one not seen to switch goes by the newest known."""
        return self._switched.get(partition, self._policy)

    def _batch(self, policy: Policy, state: State, batch: events.Batch) -> list[Decision]:
        run = state.run(batch.run)
        made: list[Decision] = []
        if run.first_reading(batch.source):
            for event in batch.events:
                sender = batch.resources[event.resource]
                made += policy.event(state, run, event, sender, self._now())
        return made

    def _state(self, record: Incoming) -> State:
        return self._states.setdefault(record.partition, State())

    def _write(self, made: Iterable[Decision]) -> list[Outgoing]:
        return [record for decision in made for record in decisions.records(decision, self._sign)]


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
