"""Records that nobody should send."""

from __future__ import annotations

import random
from collections.abc import Sequence

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from emitter.vocabulary import attributes
from emitter.vocabulary import events as vocabulary
from tests.stream.loop_rig import Rank, put

DEPTH = 10_000
_MARK = "\x01\x02\x03\x04"


def records() -> dict[str, bytes]:
    """By what is wrong with them."""
    return {
        "not protobuf": b"\xff" * 100,
        "nothing": b"",
        "a cut off request": _step({"loss": 1.0})[:-7],
        "attributes nested 10,000 deep": _deep(),
        "a huge string": _step({"loss": 1.0, "note": "x" * 900_000}),
        "a time at the end of time": _step({"loss": 1.0}, time_ns=2**64 - 1),
        "a time before all": _step({"loss": 1.0}, time_ns=0),
        "values that are no numbers": _step({"loss": float("nan"), "grad_norm": float("-inf")}),
        "a negative sequence number": _step({"loss": 1.0, attributes.SEQ: -5}),
        "a sequence number too large": _step({"loss": 1.0, attributes.SEQ: 2**63 - 1}),
        "a sequence number that is text": _step({"loss": 1.0, attributes.SEQ: "seven"}),
        "text that is not UTF-8": _step({"loss": 1.0, "note": _MARK}).replace(
            _MARK.encode(), b"\xff\xfe\xfd\xfc"
        ),
        "a step out of range": _step({"loss": 1.0, attributes.STEP: -(2**63)}),
        "a hundred thousand attributes": _step({f"a{n}": 1 for n in range(20_000)}),
        "a run id that is a number": _resource({attributes.RUN_ID: 7, attributes.RANK: "zero"}),
        "a run id of 60,000 letters": _resource({attributes.RUN_ID: "r" * 60_000}),
        "names from another world": _step({"\x00": 1.0, "'; DROP TABLE train_steps; --": 2.0, "": 3.0}),
    }


def shuffled(requests: Sequence[bytes], window: int = 6, seed: int = 7) -> list[bytes]:
    """Each record moved by less than the window, and about every third one twice."""
    numbers = random.Random(seed)
    order = sorted(range(len(requests)), key=lambda place: place + numbers.uniform(0, window))
    found: list[bytes] = []
    for place in order:
        found += [requests[place]] * (2 if numbers.random() < 0.3 else 1)
    return found


def _step(values: dict[str, object], time_ns: int | None = None) -> bytes:
    request = ExportLogsServiceRequest()
    request.ParseFromString(Rank("hostile").logs((vocabulary.STEP, None, values)))
    if time_ns is not None:
        request.resource_logs[0].scope_logs[0].log_records[0].time_unix_nano = time_ns
    return request.SerializeToString()


def _resource(values: dict[str, object]) -> bytes:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    put(group.resource.attributes, values)
    record = group.scope_logs.add().log_records.add(time_unix_nano=1, event_name=vocabulary.STEP)
    put(record.attributes, {"loss": 1.0})
    return request.SerializeToString()


def _deep() -> bytes:
    """Written by hand: protobuf's own library refuses to write or read more than a hundred levels."""
    value = AnyValue(int_value=1).SerializeToString()
    for _ in range(DEPTH):
        value = _field(5, _field(1, value))  # array_value { values { ... } }
    attribute = _field(1, b"deep") + _field(2, value)
    record = _field(6, attribute)
    return _field(1, _field(2, _field(2, record)))


def _field(number: int, content: bytes) -> bytes:
    size, length = len(content), bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + content
