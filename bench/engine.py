"""Events per second through the engine with all shipped packs, against decoding the same OTLP to dicts.

The peer is the floor of the obvious way: protobuf parsed and every attribute put into a dict, with no rule
at all. Both run in this process, on the same 100-record batches of train.step.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from bench.row import Row
from stream import events, resources
from stream.diagnose.engine import Engine
from stream.ingest.messages import ingest
from stream.records import Incoming
from stream.rulelang import load_packs

_BATCHES = 300
_BATCH = 100
_ROUNDS = 3


def _records() -> Iterator[list[dict[str, float]]]:
    generator = random.Random(7)
    for batch in range(_BATCHES):
        yield [
            {
                "train.seq": batch * _BATCH + index, "train.step": batch * _BATCH + index,
                "loss": 2.0 + generator.gauss(0, 0.05), "grad_norm": 1.0 + abs(generator.gauss(0, 0.1)),
                "learning_rate": 1e-3, "tokens_per_second": 1e5, "step_time": 0.1, "data_time": 0.01,
            }
            for index in range(_BATCH)
        ]  # fmt: skip


def _value(value: float) -> AnyValue:
    return AnyValue(int_value=value) if isinstance(value, int) else AnyValue(double_value=value)


def _request(records: list[dict[str, float]]) -> bytes:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    for name, text in (("train.run.id", "bench"), ("train.emitter.id", "e1")):
        group.resource.attributes.append(KeyValue(key=name, value=AnyValue(string_value=text)))
    scope = group.scope_logs.add()
    for record in records:
        log = scope.log_records.add(time_unix_nano=int(record["train.step"]) * 10**8, event_name="train.step")
        log.attributes.extend(KeyValue(key=name, value=_value(value)) for name, value in record.items())
    return request.SerializeToString()


def _to_dicts(payload: bytes) -> list[dict[str, object]]:
    request = ExportLogsServiceRequest.FromString(payload)
    return [
        {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in log.attributes}
        for group in request.resource_logs
        for scope in group.scope_logs
        for log in scope.log_records
    ]


def _rate(work: Callable[[], None]) -> float:
    """Events per second of the best of the rounds."""
    best = 0.0
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        work()
        best = max(best, _BATCHES * _BATCH / (time.perf_counter() - start))
    return best


def measure() -> list[Row]:
    """Engine with decoding, and ingest, each against the peer."""
    requests = [_request(records) for records in _records()]
    records = [Incoming("otlp_logs", 0, offset, payload) for offset, payload in enumerate(requests)]
    batches = [outgoing.value for record in records for outgoing in ingest(record, partitions=1)]
    rules = load_packs([resources.path("rules")])

    def diagnose() -> None:
        engine = Engine(rules)
        for payload in batches:
            engine.process(events.decode(payload))

    def translate() -> None:
        for record in records:
            ingest(record, partitions=1)

    def peer() -> None:
        for payload in requests:
            _to_dicts(payload)

    floor = _rate(peer)
    name = "protobuf to dicts"
    return [
        Row("events to diagnoses, all packs", _rate(diagnose), floor, "1/s", name, ">= 0.6x"),
        Row("OTLP to train.events (ingest)", _rate(translate), floor, "1/s", name),
    ]
