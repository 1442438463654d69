"""One partition of ``train.events`` as its records make it: the rules in force and the engine."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from emitter.vocabulary import cloudevents, topics
from emitter.vocabulary.cloudevents import parse_rfc3339
from emitter.vocabulary.diagnoses import Diagnosis
from stream import events
from stream.diagnose.engine import Engine
from stream.progress import Progress
from stream.records import BadRecordError, Incoming, Outgoing, Ticks
from stream.rulebook import bundle
from stream.rulelang import RuleErrors, RuleSet

LATE_S: Final = 120.0
"""A diagnosis of what is longer past says so: nobody could have acted on it in time."""
LATE: Final = "late_s"
"""In its evidence: how many seconds after it happened it was found."""

log = logging.getLogger(__name__)


class Partition:
    """``rules`` is the encoded bundle in force; ``newest`` the last record that was taken."""

    def __init__(self, rules: bytes, engine: Engine) -> None:
        self.rules = rules
        self.engine = engine
        self.progress = Progress()
        self.newest: Incoming | None = None
        self.batches = 0

    def take(self, record: Incoming) -> list[Outgoing]:
        """The next record; ``Ticks`` where it was only the clock. Raises BadRecordError."""
        self.newest = record
        try:
            message = events.decode(record.value)
        except events.EventsError as error:
            raise BadRecordError(str(error)) from None
        return self.hear(message, record.timestamp_ms)

    def hear(self, message: events.Message, written_ms: int = 0) -> list[Outgoing]:
        """What a message brings about; ``written_ms``: when it came to the log. Raises BadRecordError."""
        if isinstance(message, events.Rules):
            return self._switch(message)
        made = _written(_marked(one, written_ms) for one in self.engine.process(message))
        if isinstance(message, events.Tick):
            return Ticks(made)
        self.batches += 1
        return made

    def _switch(self, message: events.Rules) -> list[Outgoing]:
        """Other rules from here on: what they leave alone goes on, what they change begins afresh."""
        rules = loaded(message.bundle, message.digest)
        log.info("train.events: rules %s are in force", message.digest)
        self.rules = message.bundle
        return _written(self.engine.replace(rules))


def loaded(payload: bytes, digest: str) -> RuleSet:
    """The rules of an encoded bundle. Raises BadRecordError."""
    try:
        return bundle.loaded(payload)
    except (bundle.BundleError, RuleErrors) as error:
        raise BadRecordError(f"rules {digest}: {error}") from None


def _marked(made: Diagnosis, written_ms: int) -> Diagnosis:
    """With how late it is, if it is: by the times in the log, so that a replay says the same."""
    late_s = written_ms / 1e3 - parse_rfc3339(made.time) / 1e9
    if late_s < LATE_S:
        return made
    return replace(made, evidence={**made.evidence, LATE: round(late_s, 1)})


def _written(made: Iterable[Diagnosis]) -> list[Outgoing]:
    return [
        Outgoing(topics.TRAIN_DIAGNOSES, one.encode(), one.run.encode(), headers=cloudevents.HEADERS)
        for one in made
    ]
