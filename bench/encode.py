"""What encoding a train.step record to OTLP costs: CPU time of the thread, against the SDK's own encoder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from bench.row import Row

_RECORDS = 500
_ROUNDS = 30
_NAMES = ("loss", "grad_norm", "learning_rate", "tokens_per_second", "step_time", "data_time")


def rows(count: int, first: int = 100_000) -> list[tuple[Any, ...]]:
    """Steps as they are encoded: 6 values, eight attributes with step and seq."""
    return [
        (number * 5_500_000, number, "train.step", number, None,
         {name: 0.37 * number + place for place, name in enumerate(_NAMES)})
        for number in range(first, first + count)
    ]  # fmt: skip


def calls(made: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The same as ``step()`` leaves them in the queue."""
    return [(row[0], row[3], row[5]) for row in made]


def _packer() -> tuple[Any, Any]:
    from emitter._clock import Clock
    from emitter._packer import Packer
    from emitter._queue import Queue
    from emitter.otlp.encoder import Encoder

    queue = Queue(10**6)
    return queue, Packer(queue, Encoder({"train.run.id": "bench", "train.rank": 0}), Clock(), _RECORDS)


def _ours(made: list[Any]) -> Callable[[], bytes]:
    queue, packer = _packer()
    made = calls(made)

    def encode() -> bytes:
        queue.items.extend(made)
        payload = packer.request("logs")
        assert payload is not None
        return bytes(payload.body)

    return encode


def _sdk(made: list[Any]) -> Callable[[], bytes]:
    """The SDK's encoder on records that are already made: their making is not counted."""
    from opentelemetry._logs import LogRecord
    from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    resource, scope = Resource({"train.run.id": "bench", "train.rank": 0}), InstrumentationScope("bench")
    records = [
        ReadableLogRecord(
            LogRecord(timestamp=row[0], observed_timestamp=row[0], event_name=row[2],
                      attributes={**row[5], "train.step": row[3], "train.seq": row[1]}),
            resource, instrumentation_scope=scope,
        )
        for row in made
    ]  # fmt: skip
    return lambda: encode_logs(records).SerializeToString()


def _direct(made: list[Any]) -> Callable[[], bytes]:
    """opentelemetry-proto's classes filled by hand: what the SDK could do."""
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    def encode() -> bytes:
        request = ExportLogsServiceRequest()
        scope = request.resource_logs.add().scope_logs.add()
        for row in made:
            record = scope.log_records.add(time_unix_nano=row[0], event_name=row[2])
            for name, value in row[5].items():
                pair = record.attributes.add()
                pair.key, pair.value.double_value = name, value
            for name, number in (("train.step", row[3]), ("train.seq", row[1])):
                pair = record.attributes.add()
                pair.key, pair.value.int_value = name, number
        return bytes(request.SerializeToString())

    return encode


def _best(encode: Callable[[], bytes]) -> float:
    """Microseconds of CPU a record, in the best round."""
    spent = []
    for _ in range(_ROUNDS):
        start = time.thread_time_ns()
        encode()
        spent.append(time.thread_time_ns() - start)
    return min(spent) / _RECORDS / 1e3


def _mixed(count: int) -> Iterator[tuple[Any, ...]]:
    """Every record of another shape than its neighbours, and with text: the general way."""
    for place, row in enumerate(rows(count)):
        yield (*row[:5], {**row[5], f"name-{place % 7}": "text"})


def measure() -> list[Row]:
    """CPU time a record: hot events, events of every shape, and the peers."""
    made = rows(_RECORDS)
    ours, general = _best(_ours(made)), _best(_ours(list(_mixed(_RECORDS))))
    sdk, direct = _best(_sdk(made)), _best(_direct(made))
    return [
        Row("encode a train.step to OTLP", ours, sdk, "us", "OTel SDK encoder", "<= 2.3 us, aim 0.4"),
        Row("encode a train.step to OTLP", ours, direct, "us", "opentelemetry-proto", ""),
        Row("encode an event of any shape", general, sdk, "us", "OTel SDK encoder", ""),
    ]
