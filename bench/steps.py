"""A synthetic training run: as OTLP requests of 100 train.step records each, as batches of train.events."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from stream import events
from stream.events import Batch
from stream.ingest.messages import ingest
from stream.records import Incoming

STEPS: Final = 30_000
_BATCH: Final = 100
_ROUNDS: Final = 3


def records(steps: int = STEPS) -> list[dict[str, float]]:
    """What a quiet run logs, with a jump of loss and gradient every 5,000 steps."""
    generator = random.Random(7)
    found = []
    for step in range(steps):
        jump = 5.0 if step % 5000 in (4000, 4001, 4002) else 1.0
        found.append({
            "train.seq": step, "train.step": step,
            "loss": jump * (1.5 + 1.0 / (1 + step / 2000) + generator.gauss(0, 0.05)),
            "grad_norm": jump * jump * (1.0 + abs(generator.gauss(0, 0.1))), "learning_rate": 1e-3,
            "tokens_per_second": generator.gauss(1e5, 1e3), "step_time": abs(generator.gauss(0.1, 0.003)),
            "data_time": 0.01,
        })  # fmt: skip
    return found


def requests(steps: list[dict[str, float]], run: str = "bench") -> list[bytes]:
    """The records as OTLP export requests, a tenth of a second apart."""
    return [_request(steps[start : start + _BATCH], run) for start in range(0, len(steps), _BATCH)]


def incoming(payloads: list[bytes]) -> list[Incoming]:
    """The requests as ingest gets them."""
    return [Incoming("otlp_logs", 0, offset, payload) for offset, payload in enumerate(payloads)]


def batches(payloads: list[bytes]) -> list[bytes]:
    """The requests as ingest writes them to train.events."""
    return [outgoing.value for record in incoming(payloads) for outgoing in ingest(record, partitions=1)]


def decoded(payloads: list[bytes]) -> Iterator[Batch]:
    """The batches, decoded one by one."""
    for payload in payloads:
        message = events.decode(payload)
        assert isinstance(message, Batch)
        yield message


def rate(work: Callable[[], object], count: int, rounds: int = _ROUNDS) -> float:
    """``count`` things per second of one core (CPU time) in the best of the rounds."""
    best = 0.0
    for _ in range(rounds):
        start = time.process_time()
        work()
        best = max(best, count / (time.process_time() - start))
    return best


def _request(some: list[dict[str, float]], run: str) -> bytes:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    for name, text in (("train.run.id", run), ("train.emitter.id", f"e-{run}")):
        group.resource.attributes.append(KeyValue(key=name, value=AnyValue(string_value=text)))
    scope = group.scope_logs.add()
    for record in some:
        log = scope.log_records.add(time_unix_nano=int(record["train.step"]) * 10**8, event_name="train.step")
        log.attributes.extend(KeyValue(key=name, value=_value(value)) for name, value in record.items())
    return request.SerializeToString()


def _value(value: float) -> AnyValue:
    return AnyValue(int_value=value) if isinstance(value, int) else AnyValue(double_value=value)
