"""OTLP ``AnyValue`` as plain Python values: numbers, booleans and strings; what nests becomes JSON."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any, Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from emitter.vocabulary import cloudevents

_INT64: Final = range(-(2**63), 2**63)

Scalar = str | bool | int | float | None


def scalar(value: AnyValue) -> Scalar:
    """The value; bytes as base64, an array or key-value list as JSON, None where it is empty."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind in ("array_value", "kvlist_value"):
        return cloudevents.dumps(nested(value))
    plain = getattr(value, kind)
    return base64.b64encode(plain).decode() if kind == "bytes_value" else plain


def nested(value: AnyValue) -> Any:
    """The value with lists and dicts inside, as JSON would hold it."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [nested(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {item.key: nested(item.value) for item in value.kvlist_value.values}
    return scalar(value)


def scalars(pairs: Iterable[KeyValue]) -> dict[str, Scalar]:
    """Attributes by key. An attribute without a value is left out; of equal keys the last one counts."""
    result: dict[str, Scalar] = {}
    for pair in pairs:
        value = pair.value
        # What is not the default of its type must be what is set; asking for the kind costs more.
        plain: Scalar = value.double_value or value.int_value or value.string_value
        if not plain:
            plain = scalar(value)
        if plain is not None:
            result[pair.key] = plain
    return result


def strings(pairs: Iterable[KeyValue]) -> dict[str, str]:
    """Attributes by key, every value as text."""
    return {key: str(text(value)) for key, value in scalars(pairs).items()}


def text(value: Scalar) -> str | None:
    """The value as people write it: ``true``, ``1.5``, the string itself; None where it is empty."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


def integer(value: Scalar) -> int | None:
    """An int of 64 bits where the value is one in any spelling (3, 3.0, "3"), else None."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, float) and not value.is_integer():
        return None
    try:
        whole = int(value)
    except ValueError:
        return None
    return whole if _INT64.start <= whole < _INT64.stop else None


def number(value: Scalar) -> float | None:
    """A float where the value is a number in any spelling, else None."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(value)
    except ValueError:
        return None
