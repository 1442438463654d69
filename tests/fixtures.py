"""Shared fixtures: real parts, started once a session, and helpers to wait for conditions."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord

pytest_plugins = ["tests.fixtures_clickhouse"]

T = TypeVar("T")
ENV_TEST_KAFKA = "TRAINWARDEN_TEST_KAFKA"
"""host:port of an Apache Kafka that the tests use instead of the embedded broker."""
APACHE = "apache"
"""Value of TRAINWARDEN_TEST_KAFKA with which the tests start an Apache Kafka of their own."""

START_TIMEOUT_S = 60.0
WAIT_S = 60.0
"""For what takes a second at most: a machine that is shared may take many times as long."""
_POLL_S = 0.02


_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 16


def _shuffled(numbers: Sequence[int]) -> Iterator[int]:
    """Round and round; pytest seeds the other generator alike in every process."""
    return itertools.cycle(random.SystemRandom().sample(numbers, len(numbers)))


_ports = _shuffled(range(10_240 + _WORKER, 32_768, 16))


def free_port() -> int:
    """A TCP port that nothing listens on, of those that neither the kernel nor another worker hands out.

    All of them are gone through before one comes again: who asked for one may not listen on it yet.
    """
    while True:
        port = next(_ports)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_for(condition: Callable[[], T], timeout: float = WAIT_S, what: str = "the condition") -> T:
    """The first truthy result of the condition; fails the test when there is none in time."""
    deadline = time.monotonic() + timeout
    while not (result := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {timeout:g} s for {what}; last seen: {result!r}")
        time.sleep(_POLL_S)
    return result


async def wait_for_async(
    condition: Callable[[], Awaitable[T]], timeout: float = WAIT_S, what: str = "the condition"
) -> T:
    """As wait_for, for a coroutine function."""
    deadline = time.monotonic() + timeout
    while not (result := await condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {timeout:g} s for {what}; last seen: {result!r}")
        await asyncio.sleep(_POLL_S)
    return result


def freeze(pid: int) -> None:
    """SIGSTOP; returns when every thread of the process stands still."""
    os.kill(pid, signal.SIGSTOP)
    tasks = Path(f"/proc/{pid}/task")

    def still() -> bool:
        try:
            states = [(task / "stat").read_text().rpartition(")")[2].split()[0] for task in tasks.iterdir()]
        except (FileNotFoundError, ProcessLookupError):  # of a thread that has just ended
            return False
        return set(states) == {"T"}

    wait_for(still, what=f"process {pid} to stand still")


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Child:
    """A real child process with its output in a file; it dies with the test process."""

    def __init__(self, argv: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.log_path = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=env,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - the child must not outlive a killed pytest
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self.process.pid

    def log(self) -> str:
        """What it has written so far."""
        return self.log_path.read_text(errors="replace")

    def wait_until(
        self,
        condition: Callable[[], object],
        what: str,
        timeout: float = START_TIMEOUT_S,
        said: object = "",
    ) -> None:
        """Wait for the condition; fails with ``said`` and the log when the child ends or takes too long."""
        deadline = time.monotonic() + timeout
        while not condition():
            ended = self.process.poll()
            if ended is not None or time.monotonic() > deadline:
                why = f"ended with {ended}" if ended is not None else f"not within {timeout:g} s"
                self.kill()
                pytest.fail(f"child {self.pid}, waiting for {what}: {why}; {said}; its log:\n{self.log()}")
            time.sleep(_POLL_S)

    def freeze(self) -> None:
        """SIGSTOP, and wait until every thread has stopped; SIGCONT lets it go on."""
        freeze(self.pid)

    def stop(self, timeout: float = WAIT_S) -> int:
        """SIGTERM, then the exit status; killed when it does not end in time."""
        self.process.terminate()
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.process.kill()
        self.process.wait()


def start_broker(log: Path, port: int | None = None) -> tuple[Child, str]:
    """A Tansu broker of one's own, answering, without topics: the child and its host:port."""
    from stream import broker

    command = broker.command(port or free_port())
    child = Child(command.argv, log, command.env)
    try:
        asyncio.run(broker.wait_ready(command.bootstrap, START_TIMEOUT_S))
    except broker.BrokerError as error:
        child.kill()
        pytest.fail(f"{error}; its log:\n{child.log()}")
    return child, command.bootstrap


def start_gateway(log: Path, kafka: str, ready: bool = True, **settings: object) -> tuple[Child, str]:
    """A gateway process of one's own: the child and its URL; ``settings`` are arguments of gateway.run."""
    arguments = {"kafka": kafka, "port": free_port(), **settings}
    child = Child([sys.executable, "-c", f"from stream import gateway; gateway.run(**{arguments!r})"], log)
    url = f"http://127.0.0.1:{arguments['port']}"
    path, expected = ("/readyz", (200,)) if ready else ("/healthz", (200, 503))
    child.wait_until(lambda: _status(url + path) in expected, f"{url}{path}")
    return child, url


def _status(url: str) -> int | None:
    try:
        return http_request("GET", url).status
    except OSError:
        return None


class Answer(NamedTuple):
    """An HTTP answer, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes


def http_request(
    method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """One HTTP request on a connection of its own, whatever the status. Header names are lower case."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=60)
    try:
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.request(method, path or "/", body, dict(headers or {}))
        response = connection.getresponse()
        fields = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, fields, response.read())
    finally:
        connection.close()


def read_topic(
    bootstrap: str,
    topic: str,
    enough: Callable[[list[ConsumerRecord]], object],
    wanted: Callable[[ConsumerRecord], object] = lambda record: True,
    timeout: float = WAIT_S,
) -> list[ConsumerRecord]:
    """The wanted records of a topic, read from its beginning until there are enough of them."""
    return asyncio.run(_read_topic(bootstrap, topic, enough, wanted, timeout))


async def _read_topic(
    bootstrap: str,
    topic: str,
    enough: Callable[[list[ConsumerRecord]], object],
    wanted: Callable[[ConsumerRecord], object],
    timeout: float,
) -> list[ConsumerRecord]:
    found: list[ConsumerRecord] = []
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="earliest", fetch_max_wait_ms=50
    )
    await consumer.start()
    try:
        deadline = time.monotonic() + timeout
        while not enough(found):
            if time.monotonic() > deadline:
                pytest.fail(f"waited {timeout:g} s for records of {topic}; got {len(found)}")
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found.extend(record for record in records if wanted(record))
        return found
    finally:
        await consumer.stop()


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of a real broker with all topics; shared, so use run ids and groups of your own.

    What reads a topic whole, or belongs to a group with a name of its own as loop workers do, would meet
    what other tests left there: ``own_topics`` and ``topics_of_module`` are for it.
    """
    from stream import topics

    with _any_broker(tmp_path_factory) as bootstrap:
        asyncio.run(topics.apply(bootstrap)).check()
        yield bootstrap


@pytest.fixture
def own_topics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of a broker with all topics, where nobody else writes."""
    with _own_topics(tmp_path_factory) as bootstrap:
        yield bootstrap


@pytest.fixture(scope="module")
def topics_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same, for all tests of a file."""
    with _own_topics(tmp_path_factory) as bootstrap:
        yield bootstrap


@contextlib.contextmanager
def _own_topics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from stream import topics

    with own_broker(tmp_path_factory.mktemp("broker")) as bootstrap:
        asyncio.run(topics.apply(bootstrap)).check()
        yield bootstrap


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[str]:
    """A broker without topics."""
    child, bootstrap = start_broker(tmp_path / "broker.log")
    try:
        yield bootstrap
    finally:
        child.kill()


@contextlib.contextmanager
def _any_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    external = os.environ.get(ENV_TEST_KAFKA)
    if external and external != APACHE:
        yield external
        return
    with own_broker(tmp_path_factory.mktemp("broker")) as bootstrap:
        yield bootstrap


@contextlib.contextmanager
def own_broker(folder: Path) -> Iterator[str]:
    """host:port of a broker that nobody else uses, without topics; Apache Kafka where that is tested."""
    if os.environ.get(ENV_TEST_KAFKA) == APACHE:
        from tests.kafka import apache_kafka

        directory = folder / "kafka"
        directory.mkdir()
        with apache_kafka.running(directory, free_port(), free_port()) as bootstrap:
            yield bootstrap
        return
    child, bootstrap = start_broker(folder / "broker.log")
    try:
        yield bootstrap
    finally:
        child.kill()


@pytest.fixture(scope="session")
def gateway(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a real gateway process in front of the broker."""
    child, url = start_gateway(tmp_path_factory.mktemp("gateway") / "gateway.log", broker)
    try:
        yield url
    finally:
        child.stop()
