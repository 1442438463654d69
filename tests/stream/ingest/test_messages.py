"""OTLP records to the messages of train.events."""

from __future__ import annotations

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from emitter.vocabulary import events as vocabulary
from emitter.vocabulary import topics
from stream import events
from stream.ingest import messages
from stream.ingest.messages import ingest
from stream.otlp.beacon import beacon_request
from stream.records import BadRecordError, Incoming, Outgoing, Ticks
from tests.stream.loop_rig import Rank


def logs(payload: bytes, **more: object) -> Incoming:
    """A record of otlp_logs, partition 1, offset 7."""
    return Incoming(topics.OTLP_LOGS, 1, 7, payload, **more)  # type: ignore[arg-type]


def kinds(record: Outgoing) -> str:
    return dict(record.headers)[topics.HEADER_KINDS].decode()


def test_one_batch_for_each_run_in_a_record() -> None:
    """Keyed by run, with the coordinates of the record."""
    both = ExportLogsServiceRequest()
    for run in ("a", "b", "a"):
        both.MergeFromString(Rank(run).step(3, grad_norm=2.0))
    made = ingest(logs(both.SerializeToString()), partitions=2)
    assert [(record.topic, record.key, record.partition) for record in made] == [
        (topics.TRAIN_EVENTS, b"a", None), (topics.TRAIN_EVENTS, b"b", None),
    ]  # fmt: skip
    batch = events.decode(made[0].value)
    assert isinstance(batch, events.Batch)
    assert batch.source == events.Source(topics.OTLP_LOGS, 1, 7, 7)
    assert [(e.name, e.step, e.values["grad_norm"]) for e in batch.events] == [("train.step", 3, 2.0)] * 2


def test_the_same_record_again_makes_the_same_bytes() -> None:
    """So that a replay can be recognised."""
    payload = Rank("a").step(1, grad_norm=1.0)
    assert ingest(logs(payload), 2) == ingest(logs(payload), 2)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([vocabulary.STEP], "events"),
        ([vocabulary.LIFECYCLE, vocabulary.STEP], "events,lifecycle"),
        ([vocabulary.CHECKPOINT_STARTED, vocabulary.LIFECYCLE], "checkpoint,events,lifecycle"),
    ],
)
def test_the_header_says_what_is_inside(names: list[str], expected: str) -> None:
    """Readers skip a batch without decoding it."""
    payload = Rank("a").logs(*((name, None, {}) for name in names))
    assert [kinds(record) for record in ingest(logs(payload), 2)] == [expected]


def test_a_checkpoint_span_is_announced() -> None:
    """Remediation reads those batches."""
    record = Incoming(topics.OTLP_SPANS, 0, 1, Rank("a").checkpoint(5))
    assert [kinds(made) for made in ingest(record, 2)] == ["checkpoint,events"]


@pytest.mark.parametrize("gateway", [None, "gw-1"])
def test_a_beacon_becomes_a_tick_on_every_partition(gateway: str | None) -> None:
    """With the source it stands for, and the gateway's own time where it was one."""
    made = ingest(logs(beacon_request(123, gateway)), partitions=3)
    assert isinstance(made, Ticks)
    assert [(record.partition, record.key, kinds(record)) for record in made] == [
        (0, None, "tick"), (1, None, "tick"), (2, None, "tick"),
    ]  # fmt: skip
    expected = events.Tick(events.VERSION, 1, 7, 3, 123, {gateway: 123} if gateway else {})
    assert {record.value for record in made} == {events.encode(expected)}


def test_the_gateway_of_a_record_reaches_its_events() -> None:
    """A silent rank can then be told from a silent path."""
    record = logs(Rank("a").step(1, grad_norm=1.0), headers=[(topics.HEADER_GATEWAY, b"gw-1")])
    batch = events.decode(ingest(record, 2)[0].value)
    assert isinstance(batch, events.Batch)
    assert batch.resources[0].gateway == "gw-1"


def test_events_without_a_run_go_to_no_rule() -> None:
    """History has them from the OTLP topics."""
    assert ingest(logs(Rank("").step(1, grad_norm=1.0)), 2) == []


def test_bytes_that_are_not_otlp_are_refused() -> None:
    """With what was expected and what came."""
    with pytest.raises(BadRecordError, match="expected an ExportLogsServiceRequest in protobuf, got 2 bytes"):
        ingest(logs(b"\xff\xff"), 2)


def test_a_batch_larger_than_a_message_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It becomes a dead letter instead of blocking its partition."""
    monkeypatch.setattr(messages, "MAX_MESSAGE_BYTES", 4200)
    payload = Rank("a").logs((vocabulary.LOG, None, {"text": "x" * 500}))
    with pytest.raises(
        BadRecordError, match=r"run a: expected 1 events to fit into 4200 bytes, they take \d+"
    ):
        ingest(logs(payload), 2)
