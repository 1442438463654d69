"""Data points of OTLP metrics as events. Buckets are left to readers of the request itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from opentelemetry.proto.metrics.v1.metrics_pb2 import DataPointFlags, Metric, NumberDataPoint

from emitter.vocabulary import events as vocabulary
from stream.events import Event, Value
from stream.otlp import anyvalue

VALUE: Final = "value"
OWN_NAMES: Final = frozenset({VALUE, "count", "sum", "min", "max"})
ATTRIBUTE_PREFIX: Final = "attributes."
"""Put before an attribute whose name one of ours takes."""


def events_of(metric: Metric, resource: int) -> Iterator[Event]:
    """An event for each point with a value. Numbers: ``value``; histograms: ``count sum min max``;
    summaries: ``count sum`` and ``quantile.<q>``. Attributes are strings among the values.
    """
    kind = metric.WhichOneof("data")
    if kind is None:
        return
    for point in getattr(metric, kind).data_points:
        values = _number(point) if kind in ("gauge", "sum") else _distribution(point)
        if values and not point.flags & DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK:
            yield Event(
                name=vocabulary.METRIC,
                time=point.time_unix_nano,
                resource=resource,
                values={**_attributes(point.attributes), **values},
                metric=metric.name,
            )


def of_record(name: str, values: dict[str, Value]) -> tuple[str | None, dict[str, Value]]:
    """Metric and values of a log record of this event name; None for a record that is no point."""
    metric = values.get(vocabulary.METRIC_NAME) if name == vocabulary.METRIC else None
    if not isinstance(metric, str):
        return None, values
    return metric, {name: value for name, value in values.items() if name != vocabulary.METRIC_NAME}


def _number(point: NumberDataPoint) -> dict[str, Value]:
    kind = point.WhichOneof("value")
    return {} if kind is None else {VALUE: getattr(point, kind)}


def _distribution(point: Any) -> dict[str, Value]:
    values: dict[str, Value] = {"count": point.count}
    for quantile in getattr(point, "quantile_values", ()):
        values[f"quantile.{quantile.quantile:g}"] = quantile.value
    for name in ("sum", "min", "max"):
        if name in point.DESCRIPTOR.fields_by_name and _is_set(point, name):
            values[name] = getattr(point, name)
    return values


def _is_set(point: Any, name: str) -> bool:
    # A summary's sum has no presence in the protocol.
    return not point.DESCRIPTOR.fields_by_name[name].has_presence or point.HasField(name)


def _attributes(pairs: Any) -> dict[str, Value]:
    return {
        (ATTRIBUTE_PREFIX + name if name in OWN_NAMES else name): value
        for name, value in anyvalue.strings(pairs).items()
    }
