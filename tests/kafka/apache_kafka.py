"""A real Apache Kafka broker (KRaft, one node) from the jars of Maven Central, for the tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import time
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures import free_port

POM = Path(__file__).with_name("pom.xml")
_NAMESPACE = "{http://maven.apache.org/POM/4.0.0}"
_QUIET = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:{controller_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={log_dir}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.flush.interval.messages=9223372036854775807
"""


def kafka_version() -> str:
    """The version in the pom, the one place that names it."""
    version = ET.parse(POM).getroot().find(f"{_NAMESPACE}properties/{_NAMESPACE}kafka.version")
    assert version is not None
    assert version.text
    return version.text


def require(program: str) -> str:
    """The program's path; in CI a missing one fails, elsewhere the tests are skipped with the reason."""
    found = shutil.which(program)
    if found:
        return found
    reason = f"`{program}` is not installed: the Kafka tests need Java 17 and Maven"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def jars() -> Path:
    """The folder of jars, fetched once per version into the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trainwarden"
    folder = cache / f"kafka-{kafka_version()}"
    if not folder.is_dir():
        partial = folder.with_name(f"{folder.name}.{os.getpid()}")
        command = [require("mvn"), "-q", "-B", "-f", str(POM), "dependency:copy-dependencies"]
        subprocess.run([*command, f"-DoutputDirectory={partial}"], check=True, timeout=600)
        partial.rename(folder)
    return folder


class ApacheKafka:
    """One broker in a directory of its own. ``start`` returns when it answers, ``stop`` when it is gone.

    ``more`` are further properties, or other values of the usual ones.
    """

    def __init__(self, directory: Path, port: int, controller_port: int, more: str = "") -> None:
        self.bootstrap = f"127.0.0.1:{port}"
        self._directory = directory
        self._log = directory / "kafka.log"
        self._properties = directory / "server.properties"
        self._properties.write_text(
            _PROPERTIES.format(port=port, controller_port=controller_port, log_dir=directory / "data") + more
        )
        self._process: subprocess.Popen[bytes] | None = None

    def _java(self, main: str, *arguments: str) -> list[str]:
        heap = ["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC"]
        return [require("java"), *heap, _QUIET, "-cp", f"{jars()}/*", main, *arguments]

    def format(self, *more: str, cluster: str | None = None) -> None:
        """Write the cluster id into the empty data directory, as KRaft asks; ``more`` are arguments."""
        cluster = cluster or str(uuid.uuid4())
        command = self._java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._properties))
        subprocess.run([*command, *more], check=True, timeout=120, stdout=subprocess.DEVNULL)

    def launch(self) -> None:
        """Start the broker; does not wait for it."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._java("kafka.Kafka", str(self._properties)), stdout=log, stderr=subprocess.STDOUT
            )

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)

    def answers(self) -> bool:
        """Whether it answers a metadata request within a few seconds."""
        return asyncio.run(_answers(self.bootstrap))

    def start(self, timeout_s: float = 90.0) -> None:
        """Start the broker and wait until it answers a metadata request."""
        self.launch()
        self.wait(timeout_s)

    def wait(self, timeout_s: float = 90.0) -> None:
        """Wait until it answers."""
        assert self._process is not None
        deadline = time.monotonic() + timeout_s
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"Apache Kafka did not come up:\n{self._log.read_text()[-4000:]}")

    def stop(self) -> None:
        """End the broker; killed if it takes too long."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(20)
        self._process = None


@contextlib.contextmanager
def running(directory: Path, port: int, controller_port: int) -> Iterator[str]:
    """host:port of a broker that runs as long as the block."""
    broker = ApacheKafka(directory, port, controller_port)
    broker.format()
    try:
        broker.start()
        yield broker.bootstrap
    finally:
        broker.stop()


_MEMBER = """\
node.id={number}
controller.quorum.voters={voters}
offsets.topic.replication.factor=3
default.replication.factor=3
min.insync.replicas=2
"""


@contextlib.contextmanager
def cluster(directory: Path) -> Iterator[list[ApacheKafka]]:
    """Three brokers, each also a controller; topics are to have three replicas, two of them in sync."""
    ports = [(free_port(), free_port()) for _ in range(3)]
    voters = ",".join(f"{number}@127.0.0.1:{port}" for number, (_, port) in enumerate(ports, 1))
    brokers, name = [], str(uuid.uuid4())
    for number, (port, controller) in enumerate(ports, 1):
        folder = directory / f"kafka-{number}"
        folder.mkdir()
        more = _MEMBER.format(number=number, voters=voters)
        brokers.append(ApacheKafka(folder, port, controller, more))
        brokers[-1].format(cluster=name)
    try:
        for broker in brokers:
            broker.launch()
        for broker in brokers:
            broker.wait()
        yield brokers
    finally:
        for broker in brokers:
            broker.stop()


async def _answers(bootstrap: str) -> bool:
    from stream.broker import BrokerError, wait_ready

    try:
        # Longer than a request may take: who is cancelled inside aiokafka leaves connections open.
        await wait_ready(bootstrap, timeout=20.0)
    except (BrokerError, OSError):
        return False
    return True
