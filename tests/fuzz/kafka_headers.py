"""Kafka records as they lie on the broker, with headers that are nearly ours: taken or refused, each."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace
from typing import Any, Final

from emitter.kafka import headers
from emitter.vocabulary import topics
from stream.faustkit.consume import attempt, incoming
from stream.faustkit.deadletters import Limit
from stream.ingest.messages import ingest
from stream.records import Incoming
from tests import raw_headers
from tests.fuzz.mutation import mutated
from tests.fuzz.samples import NEIGHBOUR, SEEDS

_NAMES: Final = [
    name.encode()
    for name in (topics.HEADER_GATEWAY, topics.HEADER_KINDS, *topics.DEADLETTER_HEADERS, "content-type", "")
]
_CONTENTS: Final = [b"", b"logs", b"0", b"1", b"otlp_logs", b"application/x-protobuf", b"ff" * 16, b"[]"]
_GZIP: Final = 1

Case = tuple[str, int, bytes | None, list[raw_headers.Value]]
"""Topic, codec, key, values with their headers."""


class KafkaHeaders:
    """``check`` raises where a record is lost, or costs more than itself."""

    def make(self, numbers: Random) -> Case:
        """One batch."""
        topic = numbers.choice(topics.OTLP_TOPICS)
        seeds = [*SEEDS[topics.OTLP_LOGS], *SEEDS[NEIGHBOUR]]
        values = [
            (numbers.choice(seeds) if numbers.random() < 0.7 else numbers.randbytes(20), self._pairs(numbers))
            for _ in range(numbers.choice((1, 1, 2, 5)))
        ]
        return topic, numbers.choice((0, 0, _GZIP)), numbers.choice((None, b"", b"key", b"\xff")), values

    def _pairs(self, numbers: Random) -> list[raw_headers.Header]:
        found: list[raw_headers.Header] = []
        for _ in range(numbers.choice((0, 1, 1, 2, 6))):
            name = numbers.choice(_NAMES) if numbers.random() < 0.5 else mutated(numbers, _NAMES)
            content = None if numbers.random() < 0.1 else mutated(numbers, _CONTENTS)
            found.append((name, content))
        return found

    def check(self, case: Case) -> None:
        """Raises for what must not happen."""
        topic, codec, key, values = case
        batch = headers._Records(bytes(raw_headers.builder(values, codec, key).build())).next_batch()
        read = list(batch)
        assert [record.value for record in read] == [value for value, _ in values]
        for record in read:
            self._ingested(topic, record)

    def _ingested(self, topic: str, record: Any) -> None:
        message = SimpleNamespace(
            topic=topic, partition=0, offset=record.offset, value=record.value, key=record.key,
            headers=list(record.headers), timestamp=record.timestamp,
        )  # fmt: skip

        def handle(one: Incoming) -> list[Any]:
            return ingest(one, 2)

        for out in attempt(incoming(message), "ingest", handle, Limit()):
            assert all(isinstance(name, str) and isinstance(value, bytes) for name, value in out.headers)
            if out.topic == topics.TRAIN_DEADLETTERS:
                assert (out.value, out.key) == (record.value, record.key)
                assert dict(out.headers)["error"].startswith(b"expected")

    def finish(self) -> None:
        """Each case is whole by itself."""
