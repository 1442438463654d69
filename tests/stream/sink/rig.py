"""Real sink processes on a real broker, and what their group has committed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from emitter.vocabulary import topics
from tests.fixtures import Child, free_port, http_request

_PROGRAM = """
import sys
from pathlib import Path
from stream.faustkit.runner import Job, run_job
from stream.sink import agent

group, kafka, clickhouse, directory, commit_s, port = sys.argv[1:]

def attach(app, host):
    app.conf.broker_commit_interval = float(commit_s)
    agent.attach(app, clickhouse=clickhouse)

run_job(Job(group, kafka, Path(directory), attach, int(port)))
"""


class Sink:
    """One sink process in a consumer group of its own name."""

    def __init__(
        self, group: str, kafka: str, clickhouse: str, directory: Path, commit_s: float = 0.2
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/readyz"
        arguments = [group, kafka, clickhouse, str(directory), str(commit_s), str(port)]
        self.child = Child([sys.executable, "-c", _PROGRAM, *arguments], directory / "sink.log")

    def wait_ready(self) -> None:
        """Until it has partitions and its agents run."""
        self.child.wait_until(self._ready, f"{self.url}")

    def _ready(self) -> bool:
        try:
            return http_request("GET", self.url).status == 200
        except OSError:
            return False


async def _send(kafka: str, records: Iterable[tuple[str, int, bytes]]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, enable_idempotence=False, acks="all")
    await producer.start()
    try:
        for topic, partition, value in records:
            await producer.send_and_wait(topic, value, partition=partition)
    finally:
        await producer.stop()


def send(kafka: str, records: Iterable[tuple[str, int, bytes]]) -> None:
    """Produce (topic, partition, value) one after the other."""
    asyncio.run(_send(kafka, records))


async def _lag(kafka: str, group: str) -> dict[str, tuple[int | None, int]]:
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        places = [TopicPartition(topics.OTLP_LOGS, partition) for partition in (0, 1)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        return {f"{tp.topic}[{tp.partition}]": (await consumer.committed(tp), ends[tp]) for tp in places}
    finally:
        await consumer.stop()


def committed(kafka: str, group: str) -> dict[str, tuple[int | None, int]]:
    """For each partition of otlp_logs: the offset the group has committed (None: none), and the end."""
    return asyncio.run(_lag(kafka, group))


def caught_up(kafka: str, group: str) -> bool:
    """Whether the group has committed up to the end."""
    return all((done or 0) == end for done, end in committed(kafka, group).values())
