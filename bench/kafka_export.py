"""Log records straight to Kafka against the SDK over HTTP: records a second, and CPU of this process.

Batches are exported one after the other to a receiver in a process of its own: the embedded broker, and the
HTTP sink, which answers at once. Everything sent is counted at the other end.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any, Final

from bench.row import Row
from bench.sink import sink
from emitter.vocabulary import topics as vocabulary

_BATCH: Final = 512
_BATCHES: Final = 20
_ROUNDS: Final = 5
_NAMES: Final = ("loss", "grad_norm", "learning_rate", "tokens_per_second", "step_time", "data_time")


@contextmanager
def _broker() -> Iterator[str]:
    from stream import broker, topics

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = broker.command(port)
    with subprocess.Popen(
        command.argv, env=command.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as child:
        try:
            asyncio.run(broker.wait_ready(command.bootstrap, 60))
            asyncio.run(topics.apply(command.bootstrap)).check()
            yield command.bootstrap
        finally:
            child.kill()


def _batch() -> list[Any]:
    from opentelemetry._logs import LogRecord
    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.resources import Resource

    resource = Resource({"service.name": "bench", "service.instance.id": "1"})
    return [
        ReadableLogRecord(
            LogRecord(timestamp=step, observed_timestamp=step, event_name="train.step",
                      attributes={"train.step": step, **dict.fromkeys(_NAMES, 0.37 * step)}),
            resource,
        )
        for step in range(_BATCH)
    ]  # fmt: skip


def _one_round(send: Callable[[], object]) -> tuple[float, float]:
    """Seconds of wall clock and of this process's CPU for all batches."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(_BATCHES):
        send()
    return time.perf_counter() - wall, time.process_time() - cpu


def _compare(ours: Callable[[], object], peer: Callable[[], object]) -> tuple[list[float], list[float]]:
    """Medians of wall and CPU seconds of both, in turns, after one round that is not counted."""
    found: dict[int, list[tuple[float, float]]] = {0: [], 1: []}
    for _ in range(_ROUNDS + 1):
        for which, send in enumerate((ours, peer)):
            found[which].append(_one_round(send))
    first, second = ([median(column) for column in zip(*found[n][1:], strict=True)] for n in (0, 1))
    return first, second


async def _arrived(bootstrap: str) -> int:
    from aiokafka import AIOKafkaConsumer, TopicPartition
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="earliest", fetch_max_wait_ms=50
    )
    await consumer.start()
    try:
        numbers = consumer.partitions_for_topic(vocabulary.OTLP_LOGS) or set()
        consumer.assign([TopicPartition(vocabulary.OTLP_LOGS, number) for number in numbers])
        count, quiet = 0, 0
        while quiet < 3:
            messages = [one for some in (await consumer.getmany(timeout_ms=300)).values() for one in some]
            quiet = 0 if messages else quiet + 1
            for message in messages:
                (group,) = ExportLogsServiceRequest.FromString(message.value).resource_logs
                count += len(group.scope_logs[0].log_records)
        return count
    finally:
        await consumer.stop()


def measure() -> list[Row]:
    """The public exporter against the SDK's own, and the emitter's two ways with the same bytes."""
    with _broker() as bootstrap, sink() as there:
        rows = _public(bootstrap, there.url) + _own(bootstrap, there.url)
        sent = 2 * (_ROUNDS + 1) * _BATCHES * _BATCH
        kafka, http = asyncio.run(_arrived(bootstrap)), sum(there.counts().values())
    if (kafka, http) != (sent, sent):
        raise RuntimeError(f"sent {sent} records each way; Kafka has {kafka}, the sink {http}")
    return rows


def _public(bootstrap: str, url: str) -> list[Row]:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter

    from emitter.otlp_kafka import KafkaLogExporter

    batch = _batch()
    kafka = KafkaLogExporter(bootstrap, key="bench")
    http = OTLPLogExporter(f"{url}/v1/logs")
    ours, peer = _compare(lambda: kafka.export(batch), lambda: http.export(batch))
    kafka.shutdown()
    http.shutdown()  # type: ignore[no-untyped-call] # the SDK left it untyped
    return _rows("SDK log exporter to Kafka", ours, peer, "SDK over HTTP", "<= 1.1")


def _own(bootstrap: str, url: str) -> list[Row]:
    """Without encoding: what carrying a request costs."""
    from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs

    from emitter._records import LOGS, Payload
    from emitter.kafka.exporter import KafkaExporter
    from emitter.kafka.settings import resolve
    from emitter.otlp.http_exporter import HttpExporter

    payload = Payload(LOGS, encode_logs(_batch()).SerializeToString(), _BATCH)
    kafka = KafkaExporter(resolve({"brokers": bootstrap}), "bench", 10.0)
    http = HttpExporter(f"{url}/v1/logs", f"{url}/v1/traces", 10.0)
    ours, peer = _compare(lambda: kafka.send(payload), lambda: http.send(payload))
    kafka.close()
    http.close()
    rows = _rows("encoded request to Kafka", ours, peer, "emitter over HTTP")
    return [*rows, _compression(payload.body)]


def _compression(body: bytes) -> Row:
    """Why zstd is the default."""
    from aiokafka import codec

    def ms(encode: Callable[[bytes], bytes]) -> float:
        start = time.process_time()
        for _ in range(_BATCHES):
            encode(body)
        return 1e3 * (time.process_time() - start) / _BATCHES

    zstd, gzip = ms(codec.zstd_encode), ms(codec.gzip_encode)
    return Row(f"zstd of {len(body) // 1024} KiB in aiokafka", zstd, gzip, "ms", "gzip")


def _rows(what: str, ours: list[float], peer: list[float], name: str, target: str = "") -> list[Row]:
    count = _BATCH * _BATCHES
    cpu, of_peer = (1e6 * seconds / count for seconds in (ours[1], peer[1]))
    return [
        Row(f"{what}, batches of {_BATCH}", count / ours[0], count / peer[0], "records/s", name),
        Row(f"{what}, process CPU", cpu, of_peer, "µs/record", name, target),
    ]
