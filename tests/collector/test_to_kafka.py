"""The emitter through the Collector of deploy/collector/config.yaml to Kafka, and into our ingest."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from aiokafka import ConsumerRecord

from emitter.vocabulary import topics
from stream.ingest.decode import decode
from stream.otlp.events import RunEvents
from stream.records import Incoming
from tests.collector import found, telling
from tests.collector.otelcol import Collector, running, to_kafka
from tests.collector.telling import Tap
from tests.fixtures import read_topic

pytestmark = [pytest.mark.collector, pytest.mark.slow]


@pytest.fixture(scope="module")
def collector(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with running(to_kafka(tmp_path_factory.mktemp("collector"), broker)) as collector:
        yield collector


def _bodies(messages: list[ConsumerRecord]) -> list[bytes]:
    return [message.value for message in messages]


def _events(topic: str, bodies: list[bytes], run: str) -> RunEvents:
    """What our ingest makes of these messages, of one run, as if all had been in one."""
    runs = [decode(Incoming(topic, 0, number, body)).runs for number, body in enumerate(bodies)]
    mine = [one for several in runs for one in several if one.run == run]
    assert {len(one.resources) for one in mine} == {1}
    assert len({str(one.resources) for one in mine}) == 1
    return RunEvents(run, mine[0].resources, [event for one in mine for event in one.events])


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_session_through_the_collector_is_what_was_sent(
    collector: Collector,
    broker: str,
    tap: Tap,
    monkeypatch: pytest.MonkeyPatch,
    protocol: str,
    compression: str,
) -> None:
    """Every field is on the topics as it was sent, in order, and our ingest makes the same events of it."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
    run = uuid.uuid4().hex
    telling.tell(run, f"{protocol}://127.0.0.1:{getattr(collector, protocol)}")

    sent, sent_spans = found.logs(tap.logs), found.spans(tap.spans)
    logs = read_topic(
        broker, topics.OTLP_LOGS, lambda some: len(found.logs(_bodies(some), run)) >= len(sent),
        lambda one: run.encode() in one.value,
    )  # fmt: skip
    spans = read_topic(
        broker, topics.OTLP_SPANS, lambda some: len(found.spans(_bodies(some), run)) >= len(sent_spans),
        lambda one: run.encode() in one.value,
    )  # fmt: skip
    arrived, arrived_spans = found.logs(_bodies(logs), run), found.spans(_bodies(spans), run)
    assert found.flat(arrived) == found.flat(sent)
    assert sorted(found.flat(arrived_spans)) == sorted(found.flat(sent_spans))  # a partition for each trace
    found.check_records(record for _, record in arrived)
    found.check_spans([span for _, span in arrived_spans])
    assert len({message.partition for message in logs}) == 1
    assert all(message.key is not None for message in [*logs, *spans])
    got, expected = (_events(topics.OTLP_LOGS, bodies, run) for bodies in (_bodies(logs), tap.logs))
    assert str(got) == str(expected)  # as text, in which NaN is NaN
    got, expected = (_events(topics.OTLP_SPANS, bodies, run) for bodies in (_bodies(spans), tap.spans))
    assert sorted(map(str, got.events)) == sorted(map(str, expected.events))
