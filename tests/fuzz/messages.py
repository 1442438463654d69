"""OTLP requests that are well formed and mean nothing: any field of any message, with values at the edges."""

from __future__ import annotations

from random import Random
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from emitter.vocabulary import attributes, events

_TEXTS: Final = (
    "", "x", "\0", "größer 😀", "\ud7ff\ue000", "y" * 5000, "NaN", "-1", "1e400", "9" * 5000, "{", "[]",
    '{"a":1}', "true", "null", "1_000", " 7 ", "\u0663", "infinity", "a\nb", "\u2028",
    attributes.SEQ, attributes.STEP, attributes.EPOCH, attributes.RUN_ID, attributes.EMITTER_ID,
    attributes.RANK, attributes.ATTEMPT, attributes.WORLD_SIZE, attributes.HOST_NAME, attributes.ALIASES,
    attributes.RUN_NAME, attributes.PROCESS_PID, attributes.PHASE, "epoch", "loss", "value", "count", "hw.id",
    events.STEP, events.EVAL, events.RESOURCE, events.HEARTBEAT, events.LIFECYCLE, events.METRIC,
    events.BEACON, events.METRIC_NAME, events.LIFECYCLE_STATE, events.PROGRESS_AGE, events.GATEWAY_ID,
    "metric.kind", "metric.attributes", "metric.bucket_counts",
)  # fmt: skip
_INTEGERS: Final = (
    0, 1, 2, 7, 127, 128, 255, 65_535, 2**31 - 1, -1, -(2**31), 2**53, 2**63 - 1, -(2**63), 2**64 - 1,
    1_700_000_000_000_000_000,
)  # fmt: skip
_DOUBLES: Final = (
    0.0,
    -0.0,
    1.0,
    0.5,
    -7.25,
    1e308,
    -1e308,
    5e-324,
    float("nan"),
    float("inf"),
    -float("inf"),
    2.0**63,
)
_BYTES: Final = (b"", b"\0" * 8, b"\xab" * 16, b"\xff", b"z" * 300)
_BITS: Final = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_DEEPEST: Final = 14


def fill(numbers: Random, message: Any, depth: int = 0) -> Message:
    """Give the message some fields, at random."""
    for field in message.DESCRIPTOR.fields:
        often = 0.85 if depth < 4 and field.message_type is not None else 0.45
        if numbers.random() < often * (1 if depth < _DEEPEST else 0):
            _set(numbers, message, field, depth)
    return message  # type: ignore[no-any-return]


def _set(numbers: Random, message: Any, field: FieldDescriptor, depth: int) -> None:
    count = numbers.choice((1, 1, 2, 3)) if field.is_repeated else 1
    for _ in range(count):
        if field.message_type is None:
            _put(message, field, _value(numbers, field))
        else:
            nested = getattr(message, field.name)
            child = nested.add() if field.is_repeated else nested
            if not field.is_repeated:
                child.SetInParent()
            fill(numbers, child, depth + 1)


def _put(message: Any, field: FieldDescriptor, value: object) -> None:
    if field.is_repeated:
        getattr(message, field.name).append(value)
    else:
        setattr(message, field.name, value)


def _value(numbers: Random, field: FieldDescriptor) -> Any:
    if field.cpp_type in _BITS:
        low, high = _BITS[field.cpp_type]
        return min(max(numbers.choice(_INTEGERS), low), high)
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return numbers.choice((0, 1, 2, 5, 99, -1, 2**31 - 1))
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return numbers.random() < 0.5
    if field.type == FieldDescriptor.TYPE_BYTES:
        return numbers.choice(_BYTES)
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return numbers.choice(_TEXTS)
    return numbers.choice(_DOUBLES)
