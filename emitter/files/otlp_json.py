"""OTLP requests from protobuf to OTLP/JSON, without the protobuf library.

Not protobuf's own JSON: trace and span ids are hex, 64-bit integers are strings, enums are numbers.
Sources: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding and opentelemetry-proto 1.9.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from emitter._records import LOGS, TRACES
from emitter.otlp.decode import fields_of

_DOUBLE: Final = struct.Struct("<d")
_WORD: Final = struct.Struct("<Q")


def line(signal: str, body: bytes) -> bytes:
    """One line of a file in OTLP's file format, with its newline. Raises ValueError."""
    table = {LOGS: _LOGS, TRACES: _TRACES}[signal]
    text = json.dumps(_message(table, body), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode() + b"\n"


class _Field(NamedTuple):
    """``read`` takes bytes or an unsigned integer, as the wire has it."""

    name: str
    read: Callable[[Any], Any]
    many: bool = False


_Table = dict[int, _Field]


def _message(table: _Table, data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, values in fields_of(data).items():
        field = table.get(number)
        if field is None:
            continue
        found[field.name] = list(map(field.read, values)) if field.many else field.read(values[-1])
    return found


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _signed(word: int) -> str:
    return str(word - (1 << 64) if word >> 63 else word)


def _double(word: int) -> float | str:
    value: float = _DOUBLE.unpack(_WORD.pack(word))[0]
    if math.isfinite(value):
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def _of(table: _Table) -> Callable[[bytes], dict[str, Any]]:
    return lambda data: _message(table, data)


_ANY: Final[_Table] = {
    1: _Field("stringValue", _text), 2: _Field("boolValue", bool), 3: _Field("intValue", _signed),
    4: _Field("doubleValue", _double), 7: _Field("bytesValue", _base64),
}  # fmt: skip
_PAIR: Final[_Table] = {1: _Field("key", _text), 2: _Field("value", _of(_ANY))}
# These two hold each other: lists and maps are values, and hold values.
_ANY[5] = _Field("arrayValue", _of({1: _Field("values", _of(_ANY), many=True)}))
_ANY[6] = _Field("kvlistValue", _of({1: _Field("values", _of(_PAIR), many=True)}))

_pairs: Final = _Field("attributes", _of(_PAIR), many=True)
_dropped: Final = _Field("droppedAttributesCount", int)
_RESOURCE: Final = _Field("resource", _of({1: _pairs, 2: _dropped}))
_SCOPE: Final = _Field(
    "scope", _of({1: _Field("name", _text), 2: _Field("version", _text), 3: _pairs, 4: _dropped})
)
_schema: Final = _Field("schemaUrl", _text)

_RECORD: Final[_Table] = {
    1: _Field("timeUnixNano", str), 11: _Field("observedTimeUnixNano", str),
    2: _Field("severityNumber", int), 3: _Field("severityText", _text), 5: _Field("body", _of(_ANY)),
    6: _pairs, 7: _dropped, 8: _Field("flags", int), 9: _Field("traceId", bytes.hex),
    10: _Field("spanId", bytes.hex), 12: _Field("eventName", _text),
}  # fmt: skip
_EVENT: Final[_Table] = {1: _Field("timeUnixNano", str), 2: _Field("name", _text), 3: _pairs, 4: _dropped}
_LINK: Final[_Table] = {
    1: _Field("traceId", bytes.hex), 2: _Field("spanId", bytes.hex), 3: _Field("traceState", _text),
    4: _pairs, 5: _dropped, 6: _Field("flags", int),
}  # fmt: skip
_STATUS: Final[_Table] = {2: _Field("message", _text), 3: _Field("code", int)}
_SPAN: Final[_Table] = {
    1: _Field("traceId", bytes.hex), 2: _Field("spanId", bytes.hex), 3: _Field("traceState", _text),
    4: _Field("parentSpanId", bytes.hex), 5: _Field("name", _text), 6: _Field("kind", int),
    7: _Field("startTimeUnixNano", str), 8: _Field("endTimeUnixNano", str), 9: _pairs, 10: _dropped,
    11: _Field("events", _of(_EVENT), many=True), 12: _Field("droppedEventsCount", int),
    13: _Field("links", _of(_LINK), many=True), 14: _Field("droppedLinksCount", int),
    15: _Field("status", _of(_STATUS)), 16: _Field("flags", int),
}  # fmt: skip


def _request(resources: str, scopes: str, records: str, record: _Table) -> _Table:
    scope = {1: _SCOPE, 2: _Field(records, _of(record), many=True), 3: _schema}
    group = {1: _RESOURCE, 2: _Field(scopes, _of(scope), many=True), 3: _schema}
    return {1: _Field(resources, _of(group), many=True)}


_LOGS: Final = _request("resourceLogs", "scopeLogs", "logRecords", _RECORD)
_TRACES: Final = _request("resourceSpans", "scopeSpans", "spans", _SPAN)
