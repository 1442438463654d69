"""``kafka://`` endpoints: OTLP requests straight to the Collector's topics, keyed by emitter id."""

from __future__ import annotations

import time
from typing import Final

from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from emitter._guard import guard, logger
from emitter._records import LOGS, TRACES, Fate, Outcome, Payload
from emitter.kafka.settings import KafkaSettings
from emitter.kafka.split import halves
from emitter.kafka.writer import Message, Writer
from emitter.vocabulary import topics

TOPICS: Final = {LOGS: topics.OTLP_LOGS, TRACES: topics.OTLP_SPANS}
CLOSE_S: Final = 1.0


class KafkaExporter:
    """An Exporter. A request above the limit goes out in parts; a single record above it is refused."""

    def __init__(self, settings: KafkaSettings, key: str, timeout_s: float) -> None:
        self.target = f"kafka://{settings.brokers}"
        self._limit, self._key, self._timeout_s = settings.max_message_bytes, key.encode(), timeout_s
        self._writer = Writer(settings, create_topics=False)
        self._said = False

    def send(self, payload: Payload) -> Outcome:
        """Write to the payload's topic; RETRY for whatever the broker may get over."""
        with guard:
            return self._deliver(payload, time.monotonic() + self._timeout_s)
        return Outcome(Fate.RETRY, "internal error")

    def close(self) -> None:
        """Close the connections."""
        with guard:
            self._writer.close(CLOSE_S)

    def _deliver(self, payload: Payload, end: float) -> Outcome:
        if len(payload.body) > self._limit:
            return self._in_parts(payload, end)
        try:
            self._write(payload, end)
        except (MessageSizeTooLargeError, RecordListTooLargeError):
            return self._in_parts(payload, end)
        except (KafkaError, OSError) as error:
            return Outcome(Fate.RETRY, str(error) or type(error).__name__)
        return Outcome(Fate.SENT)

    def _write(self, payload: Payload, end: float) -> None:
        left = max(0.001, end - time.monotonic())
        self._writer.write(TOPICS[payload.signal], [Message(self._key, payload.body)], left)

    def _in_parts(self, payload: Payload, end: float) -> Outcome:
        """Half by half; what was sent before a RETRY comes again, and is known by its sequence number."""
        parts = halves(payload.signal, payload.body)
        if parts is None:
            return self._too_large(payload)
        refused = 0
        for body, records in parts:
            outcome = self._deliver(payload._replace(body=body, records=records), end)
            if outcome.fate is Fate.RETRY:
                return outcome
            refused += records if outcome.fate is Fate.REFUSED else outcome.refused
        if refused == payload.records:
            return Outcome(Fate.REFUSED, "too large for a Kafka message")
        return Outcome(Fate.SENT, refused=refused)

    def _too_large(self, payload: Payload) -> Outcome:
        if not self._said:
            self._said = True
            logger.warning(
                "a single record of %d bytes is too large for %s (limit %d bytes, or the topic's own "
                "max.message.bytes); it is dropped and counted as refused, as are all like it",
                len(payload.body), self.target, self._limit,
            )  # fmt: skip
        return Outcome(Fate.REFUSED, "too large for a Kafka message")
