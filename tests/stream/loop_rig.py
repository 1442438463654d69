"""A real loop worker process on a real broker, and the two ends of it: OTLP in, topics out."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from emitter.vocabulary import attributes, cloudevents, topics
from emitter.vocabulary import events as vocabulary
from stream.keys import ENV_SIGNING_KEY, KeyStore, NoKeyError, PrivateKey
from tests.fixtures import Child, free_port

WAIT_S = 60.0
READY_S = 150.0
"""On the embedded broker a worker first waits until those before it are forgotten."""

RULES = """
pack: rig
rules:
  - id: gradient-explosion
    category: grad_explosion
    summary: "Gradient norm {grad_norm:.3g} (rank {rank}, step {step})"
    on: train.step
    by: [run, rank]
    when: grad_norm > 20
    cooldown: 10m
    severity: warning
    then:
      - save: {}
      - rollback: {lr_scale: 0.5}
  - id: no-heartbeat
    category: unreachable
    summary: "No heartbeat of rank {rank}"
    absent: {of: train.heartbeat, for: 4s}
    severity: warning
    then:
      - notify: {}
"""


def signing_key(folder: Path) -> PrivateKey:
    """The key of the workers in this folder; ``folder/home`` holds it and the file that trusts it."""
    store = KeyStore(folder / "home")
    try:
        return store.newest()
    except NoKeyError:
        return store.new("rig")


class Worker:
    """``python -m stream.cli worker --app loop`` with the rules above."""

    def __init__(
        self, kafka: str, folder: Path, *, mode: str = "act", name: str = "worker", port: int | None = None,
        options: Sequence[str] = (), env: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        rules = folder / "rules"
        rules.mkdir(exist_ok=True)
        (rules / "rig.yaml").write_text(RULES)
        self.port = port or free_port()
        argv = [
            sys.executable, "-m", "stream.cli", "worker", "--app", "loop", "--kafka", kafka, "--mode", mode,
            "--health-port", str(self.port), "--data-dir", str(folder / name), "--rules", str(rules),
            *options,
        ]  # fmt: skip
        variables = {**os.environ, ENV_SIGNING_KEY: str(signing_key(folder).path), **(env or {})}
        self.child = Child(argv, folder / f"{name}.log", variables)

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        """Status and JSON of its health port; 0 while nothing listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)
        except OSError:
            return 0, {}

    def wait_ready(self, timeout: float = READY_S) -> None:
        """Wait until partitions are assigned."""
        last: dict[str, Any] = {}

        def ready() -> bool:
            status, report = self.get("/readyz")
            last.update(status=status, **report)
            return status == 200

        self.child.wait_until(ready, "readiness", timeout, said=last)

    def partitions(self) -> dict[str, list[int]]:
        """Assigned partitions by topic."""
        found: dict[str, list[int]] = self.get("/readyz")[1].get("partitions", {})
        return found


class Ends:
    """Producer and consumers of one test; ``collected`` holds the values of each topic that is read."""

    def __init__(self, kafka: str, *read: str) -> None:
        self.kafka, self.read = kafka, read
        self.collected: dict[str, list[Any]] = {topic: [] for topic in read}
        self.arrived: dict[str, list[float]] = {topic: [] for topic in read}

    async def __aenter__(self) -> Ends:
        self._producer = AIOKafkaProducer(bootstrap_servers=self.kafka, enable_idempotence=False)
        await self._producer.start()
        self._consumer = AIOKafkaConsumer(
            *self.read, bootstrap_servers=self.kafka, auto_offset_reset="earliest", fetch_max_wait_ms=10
        )
        await self._consumer.start()
        self._reader = asyncio.ensure_future(self._collect())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        await self._consumer.stop()
        await self._producer.stop()

    async def _collect(self) -> None:
        async for message in self._consumer:
            self.collected[message.topic].append(message)
            self.arrived[message.topic].append(time.perf_counter())

    async def send(
        self, topic: str, value: bytes, key: str | None = None, partition: int | None = None
    ) -> None:
        """Write one record and wait until the broker has it."""
        encoded = key.encode() if key is not None else None
        await self._producer.send_and_wait(topic, value, key=encoded, partition=partition)

    def data(self, topic: str, run: str) -> list[dict[str, Any]]:
        """The CloudEvent data of this run's records so far."""
        mine = [message.value for message in self.collected[topic] if message.key == run.encode()]
        return [json.loads(value)["data"] for value in mine]

    def decisions(self, run: str) -> list[dict[str, Any]]:
        """The lines of the ledger about this run so far."""
        return [data for data in self.data(topics.REMEDIATION_INTENTS, run) if "decision" in data]

    async def wait(self, condition: Callable[[], Any], what: str, timeout: float = WAIT_S) -> Any:
        """The first truthy result of the condition."""

        async def ask() -> Any:
            return condition()

        return await until(ask, what, timeout)


async def until(condition: Callable[[], Awaitable[Any]], what: str, timeout: float = WAIT_S) -> Any:
    """The first truthy result; fails when there is none in time."""
    deadline = time.monotonic() + timeout
    while not (result := await condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s for {what}; last seen: {result!r}")
        await asyncio.sleep(0.005)
    return result


class Rank:
    """Makes the OTLP of one rank; ``seq`` counts its log records as an emitter does."""

    def __init__(self, run: str, rank: int = 0, clock: Callable[[], int] = time.time_ns) -> None:
        self.run, self.rank, self.seq, self.clock = run, rank, 0, clock
        self.emitter = f"{run}/{rank}"

    def logs(self, *records: tuple[str, int | None, Mapping[str, Any]]) -> bytes:
        """A logs request of (event name, step, values)."""
        request = ExportLogsServiceRequest()
        group = request.resource_logs.add()
        self._resource(group.resource)
        scope = group.scope_logs.add()
        for name, step, values in records:
            record = scope.log_records.add(time_unix_nano=self.clock(), event_name=name)
            everything = {attributes.SEQ: self.seq, **values}
            self.seq += 1
            if step is not None:
                everything[attributes.STEP] = step
            put(record.attributes, everything)
        return request.SerializeToString()

    def step(self, step: int, grad_norm: float, loss: float = 1.0) -> bytes:
        """One optimizer step."""
        return self.logs((vocabulary.STEP, step, {"train/grad_norm": grad_norm, "loss": loss}))

    def checkpoint(self, step: int) -> bytes:
        """A spans request with one verified checkpoint."""
        request = ExportTraceServiceRequest()
        group = request.resource_spans.add()
        self._resource(group.resource)
        now = time.time_ns()
        span = group.scope_spans.add().spans.add(
            name=vocabulary.CHECKPOINT_SAVE, start_time_unix_nano=now - 1000, end_time_unix_nano=now,
            trace_id=bytes(15) + b"1", span_id=bytes(7) + b"1",
        )  # fmt: skip
        put(span.attributes, {
            vocabulary.CHECKPOINT_STEP: step, vocabulary.CHECKPOINT_PATH: f"/c/{step}",
            vocabulary.CHECKPOINT_KIND: "regular", vocabulary.CHECKPOINT_VERIFIED: True,
        })  # fmt: skip
        return request.SerializeToString()

    def _resource(self, resource: Any) -> None:
        put(resource.attributes, {
            attributes.RUN_ID: self.run, attributes.RANK: self.rank, attributes.EMITTER_ID: self.emitter,
            attributes.HOST_NAME: "node-1", attributes.ATTEMPT: 0,
        })  # fmt: skip


def put(target: Any, values: Mapping[str, Any]) -> None:
    """OTLP attributes of plain values."""
    for key, value in values.items():
        slot = target.add(key=key).value
        if isinstance(value, bool):
            slot.bool_value = value
        elif isinstance(value, int):
            slot.int_value = value
        elif isinstance(value, float):
            slot.double_value = value
        else:
            slot.string_value = str(value)


def ack(command: Mapping[str, Any], state: str) -> bytes:
    """An acknowledgement of this command by rank 0."""
    from emitter.vocabulary.commands import Ack

    now = cloudevents.rfc3339(time.time_ns())
    return Ack(command["id"], command["run"], state, now, command["attempt"], rank=0).encode()


LOOP_TOPICS = (
    topics.TRAIN_DIAGNOSES,
    topics.REMEDIATION_COMMANDS,
    topics.REMEDIATION_INTENTS,
    topics.TRAIN_DEADLETTERS,
)
