"""Rows of train_metrics: what is common to points of OTLP metrics and to points that came as log records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from emitter.vocabulary import attributes, events
from stream.otlp.anyvalue import Scalar, number, text
from stream.otlp.points import ATTRIBUTE_PREFIX, OWN_NAMES, VALUE
from stream.sink import tables
from stream.sink.records import NONE
from stream.sink.tables import Row

COLUMNS: Final = tuple(tables.SCHEMAS[tables.METRICS].names)
EMPTY: Final[Mapping[str, Any]] = {
    "temporality": "", "monotonic": False, "value": None, "count": 0, "sum": None, "min": None, "max": None,
    "bucket_counts": (), "explicit_bounds": (), "scale": 0, "zero_count": 0, "positive_offset": 0,
    "positive_counts": (), "negative_offset": 0, "negative_counts": (), "quantiles": (),
    "quantile_values": (), "seq": NONE,
}  # fmt: skip
_NO_ATTRIBUTES: Final = attributes.RECORD_ATTRIBUTES | {events.METRIC_NAME, VALUE}
_POINT: Final = {**EMPTY, "unit": "", "kind": "gauge", "start": 0, "flags": 0}


def row(known: Mapping[str, Any]) -> Row:
    """The columns in the order of the table."""
    return tuple(known[name] for name in COLUMNS)


def is_point(values: Mapping[str, Scalar]) -> bool:
    """Whether the attributes of a log record ``metric`` are those of a point."""
    return isinstance(values.get(events.METRIC_NAME), str) and number(values.get(VALUE)) is not None


def told(values: Mapping[str, Scalar]) -> dict[str, Any]:
    """Name, value and attributes of a point that came as a log record."""
    about = {_plain(name): text(value) or "" for name, value in values.items() if name not in _NO_ATTRIBUTES}
    return {
        **_POINT,
        "name": values[events.METRIC_NAME],
        "value": number(values[VALUE]),
        "attributes": sorted(about.items()),
    }


def _plain(name: str) -> str:
    own = name.removeprefix(ATTRIBUTE_PREFIX)
    return own if own in OWN_NAMES else name
