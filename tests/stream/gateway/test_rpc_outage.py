"""OTLP over gRPC while Kafka hangs, and at the gateway's own end."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from emitter.vocabulary import topics
from stream.gateway.rpc import DETAILS
from stream.topics import apply
from tests.fixtures import (
    Child,
    free_port,
    read_topic,
    start_broker,
    start_gateway,
    wait_for,
)
from tests.stream.gateway.test_rpc import Answered, call, request_of

pytestmark = pytest.mark.slow


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[tuple[Child, str]]:
    """A broker that a test may freeze."""
    child, bootstrap = start_broker(tmp_path / "broker.log")
    asyncio.run(apply(bootstrap)).check()
    try:
        yield child, bootstrap
    finally:
        child.kill()


def _retry_s(answer: Answered) -> int | None:
    for detail in Status.FromString(answer.trailers[DETAILS]).details:
        wait = RetryInfo()
        if detail.Unpack(wait):
            return int(wait.retry_delay.seconds)
    return None


def test_what_does_not_fit_is_told_to_come_again(own_broker: tuple[Child, str], tmp_path: Path) -> None:
    """While Kafka hangs: too much is RESOURCE_EXHAUSTED, the rest UNAVAILABLE, both with RetryInfo."""
    broker, bootstrap = own_broker
    port = free_port()
    child, _ = start_gateway(tmp_path / "log", bootstrap, grpc_port=port, max_bytes_under_way=300_000)
    target, large = f"127.0.0.1:{port}", request_of("r", "x" * 120_000)

    def taken() -> bool:
        return call(target, request_of("r", "x")).code is grpc.StatusCode.OK

    try:
        wait_for(taken, 60, "a gateway that takes calls")
        broker.freeze()
        with ThreadPoolExecutor(3) as pool:
            answers = list(pool.map(lambda _: call(target, large), range(3)))
        assert sorted(answer.code.name for answer in answers) == [
            "RESOURCE_EXHAUSTED", "UNAVAILABLE", "UNAVAILABLE",
        ]  # fmt: skip
        assert [_retry_s(answer) for answer in answers] == [1, 1, 1]
        os.kill(broker.pid, signal.SIGCONT)
        wait_for(taken, 60, "calls to be taken again")
    finally:
        os.kill(broker.pid, signal.SIGCONT)
        assert child.stop(60) == 0


def test_what_was_acknowledged_before_the_end_is_in_kafka(broker: str, tmp_path: Path) -> None:
    """SIGTERM among running calls: every OK is in Kafka, and the process ends with 0."""
    port = free_port()
    child, _ = start_gateway(tmp_path / "log", broker, grpc_port=port)
    mark, acknowledged, failed = uuid.uuid4().hex, list[str](), threading.Event()

    def send_until_it_ends(worker: int) -> None:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            export: Any = channel.unary_unary("/opentelemetry.proto.collector.logs.v1.LogsService/Export")
            for number in range(1_000_000):
                text = f"{mark}/{worker}/{number}/"
                try:
                    export(request_of("r", text), timeout=60)
                except grpc.RpcError:
                    failed.set()
                    return
                acknowledged.append(text)

    workers = [threading.Thread(target=send_until_it_ends, args=(worker,)) for worker in range(3)]
    for worker in workers:
        worker.start()
    wait_for(lambda: len(acknowledged) > 50, 60, "acknowledged calls")
    assert child.stop(60) == 0
    for worker in workers:
        worker.join()
    assert failed.is_set()
    found = read_topic(
        broker, topics.OTLP_LOGS, enough=lambda found: len(found) >= len(acknowledged),
        wanted=lambda record: mark.encode() in record.value, timeout=90,
    )  # fmt: skip
    values = [record.value for record in found]
    assert all(any(text.encode() in value for value in values) for text in acknowledged)
