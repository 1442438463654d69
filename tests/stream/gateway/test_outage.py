"""The gateway while Kafka is away, and at its own end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from emitter.vocabulary import topics as vocabulary
from stream import gateway, topics
from stream.gateway.server import Gateway
from stream.gateway.settings import Settings
from tests.fixtures import (
    Answer,
    Child,
    free_port,
    freeze,
    http_request,
    read_topic,
    start_broker,
    start_gateway,
    wait_for,
)

pytestmark = pytest.mark.slow

PROTOBUF = {"Content-Type": "application/x-protobuf"}


def _payload(text: str) -> bytes:
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=1)
    record.body.string_value = text
    return request.SerializeToString()


def _post(url: str, text: str = "x") -> Answer:
    return http_request("POST", f"{url}/v1/logs", _payload(text), PROTOBUF)


def _problem(url: str) -> str | None:
    problem: str | None = json.loads(http_request("GET", f"{url}/readyz").body)["problem"]
    return problem


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[tuple[Child, str]]:
    """A broker that a test may kill or freeze."""
    child, bootstrap = start_broker(tmp_path / "broker.log")
    asyncio.run(topics.apply(bootstrap)).check()
    try:
        yield child, bootstrap
    finally:
        child.kill()


def test_starts_before_kafka_and_before_the_topics(tmp_path: Path) -> None:
    """It answers 503 and says what is missing until Kafka and then the topics are there."""
    port = free_port()
    child, url = start_gateway(tmp_path / "gateway.log", f"127.0.0.1:{port}", ready=False)
    broker = None
    try:
        answer = _post(url)
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert f"kafka 127.0.0.1:{port}".encode() in answer.body
        assert http_request("GET", f"{url}/readyz").status == 503
        assert http_request("GET", f"{url}/healthz").status == 200
        broker, bootstrap = start_broker(tmp_path / "broker.log", port)
        wait_for(lambda: "run `trainwarden topics apply`" in (_problem(url) or ""), what="the missing topics")
        asyncio.run(topics.apply(bootstrap)).check()
        wait_for(lambda: _problem(url) is None, what="a ready gateway")
        assert _post(url).status == 200
    finally:
        assert child.stop() == 0
        if broker is not None:
            broker.kill()


def test_lives_on_when_kafka_dies_and_comes_back(own_broker: tuple[Child, str], tmp_path: Path) -> None:
    """Requests are answered 503 with Retry-After while Kafka is away; then they are taken again."""
    broker, bootstrap = own_broker
    child, url = start_gateway(tmp_path / "gateway.log", bootstrap)
    again = None
    try:
        assert _post(url).status == 200
        broker.kill()
        answer = _post(url)
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        again, _ = start_broker(tmp_path / "again.log", int(bootstrap.rpartition(":")[2]))
        asyncio.run(topics.apply(bootstrap)).check()
        wait_for(lambda: _post(url, "after").status == 200, 60, "a request to be taken again")
        read_topic(bootstrap, vocabulary.OTLP_LOGS, enough=len, wanted=lambda r: b"after" in r.value)
        assert child.log().count("requests are answered 503") <= 3
    finally:
        assert child.stop() == 0
        if again is not None:
            again.kill()


def test_a_frozen_kafka_is_an_answer_too(own_broker: tuple[Child, str], tmp_path: Path) -> None:
    """A broker that accepts and never answers ends in 503, and in 200 once it goes on."""
    broker, bootstrap = own_broker
    child, url = start_gateway(tmp_path / "gateway.log", bootstrap)
    try:
        assert _post(url).status == 200
        broker.freeze()
        assert _post(url).status == 503
        os.kill(broker.pid, signal.SIGCONT)
        wait_for(lambda: _post(url).status == 200, 60, "a request to be taken again")
    finally:
        assert child.stop() == 0


def test_bytes_under_way_are_bounded(own_broker: tuple[Child, str]) -> None:
    """While Kafka hangs, what does not fit into the budget is refused at once."""
    broker, bootstrap = own_broker
    settings = Settings(bootstrap, port=free_port(), max_bytes_under_way=300_000)
    answers = asyncio.run(_three_at_once(settings, broker.pid))
    assert [answer.status for answer in answers] == [503] * 3
    assert sum(b"bytes are under way" in answer.body for answer in answers) == 1


async def _three_at_once(settings: Settings, broker_pid: int) -> list[Answer]:
    running = Gateway(settings)
    await running.start()
    url = f"http://127.0.0.1:{settings.port}"
    try:
        deadline = time.monotonic() + 60
        while (await asyncio.to_thread(_post, url)).status != 200:
            assert time.monotonic() < deadline
        freeze(broker_pid)
        posts = [asyncio.to_thread(_post, url, "x" * 120_000) for _ in range(3)]
        answers = await asyncio.gather(*posts)
        os.kill(broker_pid, signal.SIGCONT)
        return list(answers)
    finally:
        await running.stop()


def test_what_was_acknowledged_before_the_end_is_in_kafka(broker: str, tmp_path: Path) -> None:
    """SIGTERM among running requests: every 200 is in Kafka, and the process ends with 0."""
    child, url = start_gateway(tmp_path / "gateway.log", broker)
    mark, acknowledged, failed = uuid.uuid4().hex, list[str](), threading.Event()

    def post_until_it_ends(worker: int) -> None:
        for number in range(1_000_000):
            text = f"{mark}/{worker}/{number}/"
            try:
                if _post(url, text).status == 200:
                    acknowledged.append(text)
            except OSError:
                failed.set()
                return

    workers = [threading.Thread(target=post_until_it_ends, args=(worker,)) for worker in range(3)]
    for worker in workers:
        worker.start()
    wait_for(lambda: len(acknowledged) > 50, 60, "acknowledged requests")
    assert child.stop() == 0
    for worker in workers:
        worker.join()
    assert failed.is_set()
    values = [
        record.value
        for record in read_topic(
            broker, vocabulary.OTLP_LOGS,
            enough=lambda found: len(found) >= len(acknowledged),
            wanted=lambda record: mark.encode() in record.value,
        )
    ]  # fmt: skip
    assert all(any(text.encode() in value for value in values) for text in acknowledged)


def test_a_request_under_way_is_finished_before_the_end(broker: str, tmp_path: Path) -> None:
    """A body that is still coming at SIGTERM is read, stored and acknowledged."""
    child, url = start_gateway(tmp_path / "gateway.log", broker)
    parts, mark = urlsplit(url), uuid.uuid4().hex
    payload = _payload(mark)
    head = "POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
    with socket.create_connection((str(parts.hostname), parts.port or 0), 60) as connection:
        connection.sendall(f"{head}Content-Length: {len(payload)}\r\n\r\n".encode() + payload[:5])
        # An answered request on another connection: the loop has seen this one, too.
        assert _post(url).status == 200
        child.process.terminate()
        wait_for(lambda: _refuses(url), what="the gateway to stop listening")
        connection.sendall(payload[5:])
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    assert child.process.wait(60) == 0
    read_topic(broker, vocabulary.OTLP_LOGS, enough=len, wanted=lambda r: mark.encode() in r.value)


def _refuses(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((str(parts.hostname), parts.port or 0), 5).close()
    except OSError:
        return True
    return False


def test_busy_port_is_one_clear_error(broker: str) -> None:
    """A port in use is named, with the way out."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            gateway.GatewayError, match=rf"cannot listen on 127.0.0.1:{port}: .*choose another port"
        ):
            asyncio.run(_start(Settings(broker, port=port)))


async def _start(settings: Settings) -> None:
    await Gateway(settings).start()
