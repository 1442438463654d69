"""The whole way: emitter, Collector, Kafka, history worker, ClickHouse; the rows are what was sent."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from emitter.vocabulary import attributes as names
from emitter.vocabulary import topics
from stream import history
from stream.history.migrate import migrate
from stream.ingest.decode import decode
from stream.otlp import anyvalue
from stream.records import Incoming
from tests.collector import found, telling
from tests.collector.otelcol import running, to_kafka
from tests.collector.telling import Tap
from tests.emitter.receiver import attributes
from tests.fixtures import wait_for
from tests.stream.sink.rig import Sink

pytestmark = [pytest.mark.collector, pytest.mark.slow]

WAIT_S = 90.0


@pytest.fixture
def database(clickhouse_url: str) -> Iterator[Client]:
    """A client of a migrated database of one's own."""
    name = f"collector_{uuid.uuid4().hex[:12]}"
    migrate(f"{clickhouse_url}/{name}")
    with history.connect(f"{clickhouse_url}/{name}") as client:
        yield client
        client.command(f"DROP DATABASE {name}")


def test_history_holds_what_was_sent(
    broker: str, clickhouse_url: str, database: Client, tap: Tap, tmp_path: Path
) -> None:
    """Steps, evaluations, events, logs and spans: each once, with its names, numbers, texts and times."""
    run = uuid.uuid4().hex
    sink = Sink(run, broker, f"{clickhouse_url}/{database.database}", tmp_path / "sink")
    try:
        with running(to_kafka(tmp_path / "collector", broker)) as collector:
            telling.tell(run, f"http://127.0.0.1:{collector.http}")
            values, records, spans = _sent_values(tap), _sent_records(tap, run), _sent_spans(tap, run)
            assert (len(values) > 60, len(records), len(spans)) == (True, 4, 5)
            wait_for(lambda: len(_values(database, run)) >= len(values), WAIT_S, "the values")
            wait_for(lambda: len(_records(database, run)) >= len(records), WAIT_S, "the records")
            wait_for(lambda: len(_spans(database, run)) >= len(spans), WAIT_S, "the spans")
        assert sink.child.stop() == 0
    finally:
        sink.child.kill()
    assert _values(database, run) == values
    assert _records(database, run) == records
    assert _spans(database, run) == spans


def _values(client: Client, run: str) -> list[tuple[Any, ...]]:
    """Every value of a step or evaluation: number of the record, time, step, name, bits of the value."""
    rows: list[tuple[Any, ...]] = []
    for table in ("train_steps", "train_evals"):
        columns = "seq, toUnixTimestamp64Nano(time), step, name, value"
        query = f"SELECT {columns} FROM {table} WHERE run = {{run:String}}"
        rows += map(tuple, client.query(query, {"run": run}).result_rows)
    return sorted((*row[:4], _bits(row[4])) for row in rows)


def _bits(value: float) -> bytes:
    """In which NaN is NaN and -0 is not 0."""
    return struct.pack("d", value)


def _sent_values(tap: Tap) -> list[tuple[Any, ...]]:
    return sorted(
        (event.seq, event.time, event.step, name, _bits(float(value)))
        for body in tap.logs
        for batch in decode(Incoming(topics.OTLP_LOGS, 0, 0, body)).runs
        for event in batch.events
        if event.name in ("train.step", "train.eval")
        for name, value in {**event.values, "epoch": event.epoch}.items()
        if isinstance(value, (int, float))
    )


_RECORDS = """
SELECT seq, toUnixTimestamp64Nano(Timestamp), EventName, SeverityNumber, SeverityText, Body, ScopeName,
    ServiceName, ResourceAttributes, LogAttributes
FROM otel_logs WHERE run = {run:String} AND EventName IN ('my.event', 'train.log') ORDER BY seq
"""


def _records(client: Client, run: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in client.query(_RECORDS, {"run": run}).result_rows]


def _sent_records(tap: Tap, run: str) -> list[tuple[Any, ...]]:
    return [
        (
            attributes(one)[names.SEQ], one.time_unix_nano, one.event_name, one.severity_number,
            one.severity_text, one.body.string_value, "trainwarden.emitter", "trainer",
            _resource(tap, run), anyvalue.strings(one.attributes),
        )
        for _, one in found.logs(tap.logs, run)
        if one.event_name in ("my.event", "train.log")
    ]  # fmt: skip


_SPANS = """
SELECT SpanId, TraceId, ParentSpanId, toUnixTimestamp64Nano(Timestamp), Duration, SpanName, SpanKind,
    StatusCode, StatusMessage, ScopeName, ServiceName, ResourceAttributes, SpanAttributes
FROM otel_traces WHERE run = {run:String} ORDER BY SpanId
"""


def _spans(client: Client, run: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in client.query(_SPANS, {"run": run}).result_rows]


def _sent_spans(tap: Tap, run: str) -> list[tuple[Any, ...]]:
    return sorted(
        (
            one.span_id.hex(), one.trace_id.hex(), one.parent_span_id.hex(), one.start_time_unix_nano,
            one.end_time_unix_nano - one.start_time_unix_nano, one.name, "Internal",
            {1: "Ok", 2: "Error"}[one.status.code], one.status.message, "trainwarden.emitter", "trainer",
            _resource(tap, run), anyvalue.strings(one.attributes),
        )
        for _, one in found.spans(tap.spans, run)
    )  # fmt: skip


def _resource(tap: Tap, run: str) -> dict[str, str]:
    """The resource's attributes as texts."""
    (resource,) = {str(group.resource): group.resource for group in found.groups(tap.logs, run)}.values()
    return anyvalue.strings(resource.attributes)
