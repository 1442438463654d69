"""OTLP requests from protobuf to OTLP/JSON, without the protobuf library.

Not protobuf's own JSON: trace and span ids are hex, 64-bit integers are strings, enums are numbers.
Sources: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding and opentelemetry-proto 1.9.
"""

from __future__ import annotations

import base64
import json.encoder
import math
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, NamedTuple

from emitter._records import LOGS, TRACES
from emitter.otlp.decode import fields_of

_DOUBLE: Final = struct.Struct("<d")
_WORD: Final = struct.Struct("<Q")
_quoted: Final[Callable[[str], str]] = json.encoder.encode_basestring


def line(signal: str, body: bytes) -> bytes:
    """One line of a file in OTLP's file format, with its newline. Raises ValueError."""
    table = {LOGS: _LOGS, TRACES: _TRACES}[signal]
    return _message(table, body).encode() + b"\n"


class _Field(NamedTuple):
    """``read`` takes bytes or an unsigned integer, as the wire has it, and gives JSON."""

    name: str
    read: Callable[[Any], str]
    many: bool = False


_Table = dict[int, _Field]


def _message(table: _Table, data: bytes) -> str:
    parts = []
    for number, values in fields_of(data).items():
        field = table.get(number)
        if field is None:
            continue
        text = f"[{','.join(map(field.read, values))}]" if field.many else field.read(values[-1])
        parts.append(f'"{field.name}":{text}')
    return f"{{{','.join(parts)}}}"


def _text(data: bytes) -> str:
    return _quoted(data.decode("utf-8", "replace"))


def _base64(data: bytes) -> str:
    return f'"{base64.b64encode(data).decode()}"'


def _hex(data: bytes) -> str:
    return f'"{data.hex()}"'


def _long(word: int) -> str:
    return f'"{word}"'


def _signed(word: int) -> str:
    return f'"{word - (1 << 64) if word >> 63 else word}"'


def _truth(word: int) -> str:
    return "true" if word else "false"


def _double(word: int) -> str:
    return _number(_DOUBLE.unpack(_WORD.pack(word))[0])


def _number(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return '"NaN"' if value != value else '"Infinity"' if value > 0 else '"-Infinity"'


def _pair(data: bytes) -> str:
    """A KeyValue. Most hold a number under a short name, which is worth not looking at field by field."""
    if data[:1] == b"\n" and len(data) > 2 and data[1] < 128:
        end = 2 + data[1]
        # A value of nine bytes whose field is the double, and nothing behind it.
        if data[end : end + 3] == b"\x12\x09!" and len(data) == end + 11:
            return f"{_keyed(data[2:end])}{_number(_DOUBLE.unpack_from(data, end + 3)[0])}}}}}"
    return _message(_PAIR, data)


@lru_cache(maxsize=4096)
def _keyed(name: bytes) -> str:
    return f'{{"key":{_text(name)},"value":{{"doubleValue":'


def _of(table: _Table) -> Callable[[bytes], str]:
    return lambda data: _message(table, data)


_ANY: Final[_Table] = {
    1: _Field("stringValue", _text), 2: _Field("boolValue", _truth), 3: _Field("intValue", _signed),
    4: _Field("doubleValue", _double), 7: _Field("bytesValue", _base64),
}  # fmt: skip
_PAIR: Final[_Table] = {1: _Field("key", _text), 2: _Field("value", _of(_ANY))}
# These two hold each other: lists and maps are values, and hold values.
_ANY[5] = _Field("arrayValue", _of({1: _Field("values", _of(_ANY), many=True)}))
_ANY[6] = _Field("kvlistValue", _of({1: _Field("values", _pair, many=True)}))

_pairs: Final = _Field("attributes", _pair, many=True)
_dropped: Final = _Field("droppedAttributesCount", str)
_RESOURCE: Final = _Field("resource", _of({1: _pairs, 2: _dropped}))
_SCOPE: Final = _Field(
    "scope", _of({1: _Field("name", _text), 2: _Field("version", _text), 3: _pairs, 4: _dropped})
)
_schema: Final = _Field("schemaUrl", _text)

_RECORD: Final[_Table] = {
    1: _Field("timeUnixNano", _long), 11: _Field("observedTimeUnixNano", _long),
    2: _Field("severityNumber", str), 3: _Field("severityText", _text), 5: _Field("body", _of(_ANY)),
    6: _pairs, 7: _dropped, 8: _Field("flags", str), 9: _Field("traceId", _hex),
    10: _Field("spanId", _hex), 12: _Field("eventName", _text),
}  # fmt: skip
_EVENT: Final[_Table] = {1: _Field("timeUnixNano", _long), 2: _Field("name", _text), 3: _pairs, 4: _dropped}
_LINK: Final[_Table] = {
    1: _Field("traceId", _hex), 2: _Field("spanId", _hex), 3: _Field("traceState", _text),
    4: _pairs, 5: _dropped, 6: _Field("flags", str),
}  # fmt: skip
_STATUS: Final[_Table] = {2: _Field("message", _text), 3: _Field("code", str)}
_SPAN: Final[_Table] = {
    1: _Field("traceId", _hex), 2: _Field("spanId", _hex), 3: _Field("traceState", _text),
    4: _Field("parentSpanId", _hex), 5: _Field("name", _text), 6: _Field("kind", str),
    7: _Field("startTimeUnixNano", _long), 8: _Field("endTimeUnixNano", _long), 9: _pairs, 10: _dropped,
    11: _Field("events", _of(_EVENT), many=True), 12: _Field("droppedEventsCount", str),
    13: _Field("links", _of(_LINK), many=True), 14: _Field("droppedLinksCount", str),
    15: _Field("status", _of(_STATUS)), 16: _Field("flags", str),
}  # fmt: skip


def _request(resources: str, scopes: str, records: str, record: _Table) -> _Table:
    scope = {1: _SCOPE, 2: _Field(records, _of(record), many=True), 3: _schema}
    group = {1: _RESOURCE, 2: _Field(scopes, _of(scope), many=True), 3: _schema}
    return {1: _Field(resources, _of(group), many=True)}


_LOGS: Final = _request("resourceLogs", "scopeLogs", "logRecords", _RECORD)
_TRACES: Final = _request("resourceSpans", "scopeSpans", "spans", _SPAN)
