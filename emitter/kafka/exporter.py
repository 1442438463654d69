"""``kafka://`` endpoints: OTLP requests straight to the Collector's topics, keyed by emitter id."""

from __future__ import annotations

import time
from typing import Final

from aiokafka.errors import KafkaError

from emitter._guard import guard, logger
from emitter._records import LOGS, METRICS, TRACES, Fate, Outcome, Payload
from emitter.kafka.client import reason
from emitter.kafka.settings import KafkaSettings
from emitter.kafka.split import Refused, write_in_parts
from emitter.kafka.writer import Message, Writer
from emitter.vocabulary import topics

TOPICS: Final = {LOGS: topics.OTLP_LOGS, TRACES: topics.OTLP_SPANS, METRICS: topics.OTLP_METRICS}
CLOSE_S: Final = 1.0


class KafkaExporter:
    """An Exporter. A request above the limit goes out in parts; a single record above it is refused.

    Parts that were written before a RETRY are written again, and known by their sequence numbers.
    """

    def __init__(self, settings: KafkaSettings, key: str, timeout_s: float) -> None:
        self.target = f"kafka://{settings.brokers}"
        self._limit, self._key, self._timeout_s = settings.max_message_bytes, key.encode(), timeout_s
        self._writer = Writer(settings, create_topics=False)
        self._said = False

    def send(self, payload: Payload) -> Outcome:
        """Write to the payload's topic; RETRY for whatever the broker may get over."""
        end = time.monotonic() + self._timeout_s

        def write(body: bytes) -> None:
            left = max(0.001, end - time.monotonic())
            self._writer.write(TOPICS[payload.signal], [Message(self._key, body)], left)

        with guard:
            try:
                return self._done(payload, write_in_parts(payload.body, self._limit, write))
            except (KafkaError, OSError) as error:
                return Outcome(Fate.RETRY, reason(error))
        return Outcome(Fate.RETRY, "internal error")

    def close(self) -> None:
        """Close the connections."""
        with guard:
            self._writer.close(CLOSE_S)

    def _done(self, payload: Payload, refused: Refused) -> Outcome:
        if refused.records and not self._said:
            self._said = True
            logger.warning(
                "a record of %d bytes is too large for %s (limit %d bytes, or the topic's own "
                "max.message.bytes); it is dropped and counted as refused, as are all like it",
                refused.largest, self.target, self._limit,
            )  # fmt: skip
        if refused.records == payload.records:
            return Outcome(Fate.REFUSED, "too large for a Kafka message")
        return Outcome(Fate.SENT, refused=refused.records)
