"""Topic otlp_metrics to rows of train_metrics, one for each data point."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from opentelemetry.proto.metrics.v1.metrics_pb2 import DataPointFlags, Metric, NumberDataPoint

from stream.otlp import resources
from stream.otlp.parse import parse_metrics
from stream.sink import point_rows, tables
from stream.sink.logs import pairs
from stream.sink.recent import Recent
from stream.sink.records import Record, Who, moment
from stream.sink.rows import Rows

_TEMPORALITY: Final = ("", "delta", "cumulative")
_NO_VALUE: Final = DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK


def add_metrics(record: Record, rows: Rows, recent: Recent) -> None:
    """The data points of one request. Raises OtlpError where the bytes are none."""
    for group in parse_metrics(record.value).resource_metrics:
        resource = resources.sender(group.resource, None).resource
        who = Who.of(resource)
        fixed = {
            **point_rows.EMPTY, **vars(who), "service": resource.service or "",
            "resource": pairs(group.resource.attributes),
            "src_topic": record.topic, "src_partition": record.partition, "src_offset": record.offset,
        }  # fmt: skip
        for scope in group.scope_metrics:
            fixed["scope"] = scope.scope.name
            for metric in scope.metrics:
                for point in _points(metric, record.time):
                    rows.add(tables.METRICS, point_rows.row({**fixed, **point}))


def _points(metric: Metric, now: int) -> Iterator[dict[str, Any]]:
    kind = metric.WhichOneof("data")
    if kind is None:
        return
    data = getattr(metric, kind)
    about = {
        "name": metric.name,
        "unit": metric.unit,
        "kind": kind,
        "monotonic": getattr(data, "is_monotonic", False),
    }
    temporality = getattr(data, "aggregation_temporality", 0)
    about["temporality"] = _TEMPORALITY[temporality] if 0 <= temporality < len(_TEMPORALITY) else ""
    for point in data.data_points:
        yield {
            **about,
            "time": moment(point.time_unix_nano, now),
            "start": moment(point.start_time_unix_nano),
            "flags": point.flags,
            "attributes": pairs(point.attributes),
            **_VALUES[kind](point),
        }


def _number(point: NumberDataPoint) -> dict[str, Any]:
    kind = point.WhichOneof("value")
    absent = kind is None or point.flags & _NO_VALUE
    return {} if absent else {"value": float(getattr(point, str(kind)))}


def _optional(point: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(point, name) for name in names if point.HasField(name)}


def _histogram(point: Any) -> dict[str, Any]:
    return {
        "count": point.count, **_optional(point, "sum", "min", "max"),
        "bucket_counts": tuple(point.bucket_counts), "explicit_bounds": tuple(point.explicit_bounds),
    }  # fmt: skip


def _exponential(point: Any) -> dict[str, Any]:
    return {
        "count": point.count, **_optional(point, "sum", "min", "max"),
        "scale": point.scale, "zero_count": point.zero_count,
        "positive_offset": point.positive.offset, "positive_counts": tuple(point.positive.bucket_counts),
        "negative_offset": point.negative.offset, "negative_counts": tuple(point.negative.bucket_counts),
    }  # fmt: skip


def _summary(point: Any) -> dict[str, Any]:
    return {
        "count": point.count, "sum": point.sum,
        "quantiles": tuple(item.quantile for item in point.quantile_values),
        "quantile_values": tuple(item.value for item in point.quantile_values),
    }  # fmt: skip


_VALUES: Final = {
    "gauge": _number, "sum": _number, "histogram": _histogram, "exponential_histogram": _exponential,
    "summary": _summary,
}  # fmt: skip
