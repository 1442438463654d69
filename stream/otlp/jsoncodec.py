"""OTLP/JSON to OTLP messages.

It is not protobuf's JSON: trace and span ids are hex there, which ``json_format`` would take for base64.
Accepted as the specification asks: 64-bit integers as strings or numbers, enums as numbers (and names),
lowerCamelCase keys (and the original names), unknown keys ignored, null as absent.
Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeVar

import msgspec
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from stream.otlp.errors import OtlpError

M = TypeVar("M", bound=Message)

MAX_DEPTH: Final = 90
"""Messages inside messages; readers of protobuf give up at 100."""

_HEX_FIELDS: Final = frozenset({"trace_id", "span_id", "parent_span_id"})
_SHOWN: Final = 60


def logs_from_json(payload: bytes) -> ExportLogsServiceRequest:
    """A logs request. Raises OtlpError, which names the place."""
    return request(ExportLogsServiceRequest, payload)


def spans_from_json(payload: bytes) -> ExportTraceServiceRequest:
    """A traces request. Raises OtlpError, which names the place."""
    return request(ExportTraceServiceRequest, payload)


def metrics_from_json(payload: bytes) -> ExportMetricsServiceRequest:
    """A metrics request. Raises OtlpError, which names the place."""
    return request(ExportMetricsServiceRequest, payload)


def request(kind: type[M], payload: bytes) -> M:
    """A request of this type. Raises OtlpError, which names the place."""
    try:
        value = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise OtlpError(f"expected an {kind.__name__} in JSON: {error}") from None
    except RecursionError:
        raise OtlpError(f"expected an {kind.__name__} in JSON: it is nested too deeply") from None
    message = kind()
    _fill(message, value, "", 0)
    return message


@dataclass(frozen=True)
class _Field:
    """How one field is read. ``convert`` is None for messages."""

    name: str
    repeated: bool
    convert: Callable[[Any], Any] | None


class _UnfitError(Exception):
    """The value does not fit; the text says what was expected."""


def _fill(message: Any, value: Any, path: str, depth: int) -> None:
    if not isinstance(value, dict):
        raise _error(path, "an object", value)
    if depth > MAX_DEPTH:
        raise OtlpError(
            f"{path[:_SHOWN]}...: expected at most {MAX_DEPTH} objects inside each other, got more"
        )
    fields = _fields(message.DESCRIPTOR)
    for key, item in value.items():
        field = fields.get(key)
        if field is None or item is None:
            continue
        place = f"{path}.{key}" if path else key
        if field.repeated:
            _fill_list(getattr(message, field.name), field, item, place, depth)
        elif field.convert is None:
            child = getattr(message, field.name)
            child.SetInParent()
            _fill(child, item, place, depth + 1)
        else:
            converted = _converted(field.convert, item, place)
            try:
                setattr(message, field.name, converted)
            except (ValueError, TypeError) as error:
                raise OtlpError(f"{place}: {error}") from None


def _fill_list(target: Any, field: _Field, value: Any, path: str, depth: int) -> None:
    if not isinstance(value, list):
        raise _error(path, "an array", value)
    for index, item in enumerate(value):
        place = f"{path}[{index}]"
        if field.convert is None:
            _fill(target.add(), item, place, depth + 1)
            continue
        converted = _converted(field.convert, item, place)
        try:
            target.append(converted)
        except (ValueError, TypeError) as error:
            raise OtlpError(f"{place}: {error}") from None


def _converted(convert: Callable[[Any], Any], value: Any, path: str) -> Any:
    try:
        return convert(value)
    except _UnfitError as unfit:
        raise _error(path, str(unfit), value) from None


def _error(path: str, expected: str, value: Any) -> OtlpError:
    shown = repr(value)
    shown = shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "..."
    return OtlpError(f"{path or 'the request'}: expected {expected}, got {shown}")


@cache
def _fields(descriptor: Descriptor) -> dict[str, _Field]:
    result = {}
    for field in descriptor.fields:
        read = _Field(field.name, field.is_repeated, _converter(field))
        result[field.json_name] = result[field.name] = read
    return result


def _converter(field: FieldDescriptor) -> Callable[[Any], Any] | None:
    if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        return None
    if field.enum_type is not None:
        return _enum(field.enum_type)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _hex if field.name in _HEX_FIELDS else _base64
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return _string
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return _boolean
    if field.cpp_type in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        return _double
    return _integer


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise _UnfitError("a string")
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _UnfitError("true or false")
    return value


def _integer(value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.removeprefix("-").isdigit() and len(value) <= 20:
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _UnfitError("an integer")
    return value


def _double(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise _UnfitError("a number")
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise _UnfitError('a number, "NaN", "Infinity" or "-Infinity"') from None


def _hex(value: Any) -> bytes:
    try:
        return binascii.unhexlify(_string(value))
    except (_UnfitError, ValueError):
        raise _UnfitError("an id in hex") from None


def _base64(value: Any) -> bytes:
    try:
        text = _string(value).replace("-", "+").replace("_", "/")
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (_UnfitError, ValueError):
        raise _UnfitError("bytes in base64") from None


def _enum(descriptor: EnumDescriptor) -> Callable[[Any], int]:
    names = {item.name: item.number for item in descriptor.values}

    def convert(value: Any) -> int:
        if isinstance(value, str) and value in names:
            return names[value]
        try:
            return _integer(value)
        except _UnfitError:
            raise _UnfitError(f"a number or a name of {descriptor.name}") from None

    return convert
