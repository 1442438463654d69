"""From records of ``train.events`` to diagnoses: one engine a partition."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from emitter.vocabulary import cloudevents, topics
from emitter.vocabulary.diagnoses import Diagnosis
from stream import events
from stream.diagnose.engine import Engine
from stream.progress import Place, Progress
from stream.records import BadRecordError, Incoming, Outgoing, Ticks
from stream.rulebook import bundle
from stream.rulelang import RuleErrors, RuleSet

log = logging.getLogger(__name__)


class Inbox:
    """The engines of the partitions this worker holds."""

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules
        self._engines: dict[int, Engine] = {}
        # Each partition switches at its own offset; one not seen to switch begins with the newest known.
        self._switched: dict[int, RuleSet] = {}
        self._progress: dict[int, Progress] = {}

    def keep(self, partitions: Iterable[int]) -> None:
        """Drop the engines of all other partitions: another worker goes on with them."""
        kept = set(partitions)
        for number in set(self._progress) - kept:
            del self._progress[number]
            self._engines.pop(number, None)
            self._switched.pop(number, None)

    def event(self, record: Incoming) -> list[Outgoing]:
        """A record of ``train.events``. Raises BadRecordError."""
        place = self._progress.setdefault(record.partition, Progress()).place(record)
        if place is Place.REPEATED:
            return []
        if place is not Place.NEXT:
            log.warning(
                "%s[%d]: records come %s, beginning afresh", record.topic, record.partition, place.value
            )
            self._engines.pop(record.partition, None)
        try:
            message = events.decode(record.value)
        except events.EventsError as error:
            raise BadRecordError(str(error)) from None
        if isinstance(message, events.Rules):
            return self._switch(record.partition, message)
        made = self._diagnose(record.partition, message)
        return Ticks(made) if isinstance(message, events.Tick) else made

    def _switch(self, partition: int, message: events.Rules) -> list[Outgoing]:
        """Other rules from here on: what they leave alone goes on, what they change begins afresh."""
        try:
            rules = bundle.loaded(message.bundle)
        except (bundle.BundleError, RuleErrors) as error:
            raise BadRecordError(f"rules {message.digest}: {error}") from None
        log.info("train.events[%d]: rules %s are in force", partition, message.digest)
        self._rules = self._switched[partition] = rules
        engine = self._engines.get(partition)
        return [] if engine is None else _written(engine.replace(rules))

    def _diagnose(self, partition: int, message: events.Batch | events.Tick) -> list[Outgoing]:
        engine = self._engines.get(partition)
        if engine is None:
            engine = self._engines[partition] = Engine(self._switched.get(partition, self._rules))
        return _written(engine.process(message))


def _written(made: Iterable[Diagnosis]) -> list[Outgoing]:
    return [
        Outgoing(topics.TRAIN_DIAGNOSES, one.encode(), one.run.encode(), headers=cloudevents.HEADERS)
        for one in made
    ]
