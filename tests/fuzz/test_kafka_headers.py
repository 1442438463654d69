"""Headers, keys and times of Kafka records, whatever they are, cost at most the record that has them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emitter.vocabulary import topics
from stream.faustkit.consume import attempt, incoming
from stream.faustkit.deadletters import Limit
from stream.ingest.messages import ingest
from stream.records import Incoming
from tests.fuzz import campaign
from tests.fuzz.kafka_headers import KafkaHeaders
from tests.fuzz.samples import NEIGHBOUR, SEEDS

CASES = 300
KNOWN = st.sampled_from(
    [topics.HEADER_GATEWAY, topics.HEADER_KINDS, *topics.DEADLETTER_HEADERS, "content-type", ""]
)
PAIRS = st.lists(st.tuples(KNOWN | st.text(), st.none() | st.binary(max_size=300)), max_size=6)
HEADERS = st.none() | PAIRS | PAIRS.map(dict)
VALUES = st.none() | st.binary(max_size=100) | st.sampled_from([*SEEDS[topics.OTLP_LOGS], *SEEDS[NEIGHBOUR]])
TIMES = st.none() | st.integers(-(2**40), 2**40) | st.floats(-1e9, 1e10)


@given(st.sampled_from(topics.OTLP_TOPICS), VALUES, st.none() | st.binary(max_size=20), HEADERS, TIMES)
def test_any_headers(
    topic: str, value: bytes | None, key: bytes | None, headers: Any, time: float | None
) -> None:
    """Ingest makes batches or a dead letter of each, with headers that can be written."""
    message = SimpleNamespace(
        topic=topic, partition=0, offset=3, value=value, key=key, headers=headers, timestamp=time
    )

    def handle(record: Incoming) -> list[Any]:
        return ingest(record, 2)

    for one in attempt(incoming(message), "ingest", handle, Limit()):
        assert all(isinstance(name, str) and isinstance(content, bytes) for name, content in one.headers)
        if one.topic == topics.TRAIN_DEADLETTERS:
            assert (one.value, one.key) == (value or b"", key)
            error = dict(one.headers)["error"].decode()
            assert error.startswith("expected")


def test_damaged_records(capsys: pytest.CaptureFixture[str]) -> None:
    """As they lie on the broker, with names that are no text: each is read, and taken or refused."""
    campaign.in_ci(KafkaHeaders(), CASES, capsys)


@pytest.mark.nightly
@pytest.mark.timeout(0)
def test_damaged_records_all_night(capsys: pytest.CaptureFixture[str]) -> None:
    """The same for as long as TRAINWARDEN_FUZZ_S says, with cases that no night had before."""
    campaign.all_night(KafkaHeaders(), capsys)
