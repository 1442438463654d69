"""Everything that may lie on the OTLP topics, through a real worker: signals, encodings, codecs, keys."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord
from google.protobuf import json_format
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from emitter.vocabulary import topics
from stream import events
from tests.fixtures import read_topic
from tests.stream.loop_rig import Worker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

CODECS: Final = (None, "gzip", "snappy", "lz4", "zstd")
KEYS: Final = (None, b"emitter-1", bytes(range(240, 256)))
"""None as the Collector's default has it, an emitter id as ours, 16 bytes of a hash as it does if asked."""
WAIT_S: Final = 120.0


@pytest.fixture(scope="module")
def worker(topics_of_module: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A loop worker; it is ready before anything is sent."""
    worker = Worker(topics_of_module, tmp_path_factory.mktemp("loop"))
    try:
        worker.wait_ready()
        yield worker
        assert worker.child.stop() == 0
    finally:
        worker.child.kill()


def _logs(run: str) -> Message:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.add(key="train.run.id").value.string_value = run
    record = group.scope_logs.add().log_records.add(time_unix_nano=7, event_name="train.step")
    record.trace_id = b"\xab" * 16
    record.attributes.add(key="train.step").value.int_value = 3
    record.attributes.add(key="loss").value.double_value = 0.5
    return request


def _spans(run: str) -> Message:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="train.run.id").value.string_value = run
    group.scope_spans.add().spans.add(
        name="checkpoint.save", start_time_unix_nano=5, end_time_unix_nano=1_000_000_005, span_id=b"\1" * 8
    )
    return request


def _metrics(run: str) -> Message:
    """One point of each of the five kinds."""
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    group.resource.attributes.add(key="train.run.id").value.string_value = run
    metrics = group.scope_metrics.add().metrics
    metrics.add(name="a gauge").gauge.data_points.add(time_unix_nano=1, as_double=36.6)
    metrics.add(name="a sum").sum.data_points.add(time_unix_nano=1, as_int=7)
    metrics.add(name="a histogram").histogram.data_points.add(
        time_unix_nano=1, count=2, sum=4.0, min=1.0, max=3.0, bucket_counts=[1, 1], explicit_bounds=[2.0]
    )
    exponential = metrics.add(name="an exponential histogram").exponential_histogram.data_points.add(
        time_unix_nano=1, count=3, sum=6.0, scale=2, zero_count=1
    )
    exponential.positive.bucket_counts.extend([1, 1])
    summary = metrics.add(name="a summary").summary.data_points.add(time_unix_nano=1, count=5, sum=9.0)
    summary.quantile_values.add(quantile=0.99, value=8.0)
    return request


SIGNALS: Final[dict[str, tuple[Callable[[str], Message], dict[Any, Any]]]] = {
    topics.OTLP_LOGS: (_logs, {("train.step", None): {"loss": 0.5}}),
    topics.OTLP_SPANS: (_spans, {("checkpoint.save", None): {"duration": 1.0}}),
    topics.OTLP_METRICS: (
        _metrics,
        {
            ("metric", "a gauge"): {"value": 36.6},
            ("metric", "a sum"): {"value": 7},
            ("metric", "a histogram"): {"count": 2, "sum": 4.0, "min": 1.0, "max": 3.0},
            ("metric", "an exponential histogram"): {"count": 3, "sum": 6.0},
            ("metric", "a summary"): {"count": 5, "sum": 9.0, "quantile.0.99": 8.0},
        },
    ),
}


def _as_json(request: Message) -> bytes:
    """As a Collector writes otlp_json: ids in hex, everything else as protobuf's JSON has it."""

    def hexed(name: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: hexed(key, item) for key, item in value.items()}
        if isinstance(value, list):
            return [hexed(name, item) for item in value]
        return base64.b64decode(value).hex() if name in ("traceId", "spanId") else value

    return json.dumps(hexed("", json_format.MessageToDict(request))).encode()


async def _write(kafka: str, codec: str | None, records: list[tuple[str, bytes, bytes | None]]) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka, enable_idempotence=False, compression_type=codec, linger_ms=50
    )
    await producer.start()
    try:
        sent = [await producer.send(topic, value, key=key) for topic, value, key in records]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


def test_every_signal_encoding_codec_and_key(worker: Worker, topics_of_module: str) -> None:
    """Each record comes out on train.events once, keyed by its run, with the same events."""
    expected: dict[str, dict[Any, Any]] = {}
    for codec in CODECS:
        records = []
        for (topic, (make, found)), key, text in itertools.product(SIGNALS.items(), KEYS, (False, True)):
            run = f"width-{uuid.uuid4().hex}"
            expected[run] = found
            request = make(run)
            records.append((topic, _as_json(request) if text else request.SerializeToString(), key))
        asyncio.run(_write(topics_of_module, codec, records))
    print(f"{len(expected)} records: 3 signals x 2 encodings x {len(CODECS)} codecs x {len(KEYS)} keys")
    batches = read_topic(
        topics_of_module, topics.TRAIN_EVENTS, timeout=WAIT_S,
        enough=lambda found: {record.key.decode() for record in found} >= set(expected),
        wanted=lambda record: record.key is not None and record.key.decode() in expected,
    )  # fmt: skip
    assert len(batches) == len(expected)
    for record in batches:
        batch = events.decode(record.value)
        assert isinstance(batch, events.Batch)
        assert batch.run == record.key.decode()
        assert {(e.name, e.metric): e.values for e in batch.events} == expected[batch.run]


def test_bad_records_are_set_aside_and_their_neighbours_arrive(worker: Worker, topics_of_module: str) -> None:
    """Each with where it was and why, byte for byte, under its own key."""
    mark = uuid.uuid4().hex
    bad = {
        b"\xff" + mark.encode(): "in protobuf, got 33 bytes that do not parse",
        b'{"resourceLogs": 7, "m": "%s"}' % mark.encode(): "resourceLogs: expected an array, got 7",
        b"\x1f\x8b" + mark.encode(): "they look like gzip",
    }
    runs = [f"width-{uuid.uuid4().hex}" for _ in range(len(bad) + 1)]
    good = [_logs(run).SerializeToString() for run in runs]
    values = [value for pair in zip(good, bad, strict=False) for value in pair] + good[len(bad) :]
    asyncio.run(_write(topics_of_module, "zstd", [(topics.OTLP_LOGS, value, b"k") for value in values]))
    dead: list[ConsumerRecord] = read_topic(
        topics_of_module, topics.TRAIN_DEADLETTERS, timeout=WAIT_S,
        enough=lambda found: len(found) >= len(bad), wanted=lambda record: record.value in bad,
    )  # fmt: skip
    for record in dead:
        headers = dict(record.headers)
        topic, partition, offset, stage, error = (headers[name] for name in topics.DEADLETTER_HEADERS)
        assert (record.key, topic, stage) == (b"k", b"otlp_logs", b"ingest")
        assert partition.isdigit()
        assert offset.isdigit()
        assert bad[record.value] in error.decode()
    assert len({record.value for record in dead}) == len(dead) == len(bad)
    batches = read_topic(
        topics_of_module, topics.TRAIN_EVENTS, timeout=WAIT_S,
        enough=lambda found: len(found) >= len(runs),
        wanted=lambda record: record.key is not None and record.key.decode() in runs,
    )  # fmt: skip
    assert sorted(record.key.decode() for record in batches) == sorted(runs)
