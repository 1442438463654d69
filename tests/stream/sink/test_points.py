"""Data points of metrics to rows."""

from __future__ import annotations

import math
from typing import Any

from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric

from emitter.vocabulary import topics
from tests.stream.sink.build import T0, listed, logs, points, put, record, rows_of

CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE


def stored(*metrics: Metric) -> list[dict[str, Any]]:
    content = rows_of(record(points(*metrics), topics.OTLP_METRICS)).arrow()
    return listed(content["train_metrics"]) if content else []


def test_a_gauge_has_a_value_and_its_attributes() -> None:
    """Who sent, name, unit, attributes in order of their keys; integers become numbers."""
    metric = Metric(name="queue", unit="1")
    put(metric.gauge.data_points.add(time_unix_nano=T0, as_int=5).attributes, {"b": 1, "a": "x"})

    (row,) = stored(metric)

    assert (row["run"], row["rank"], row["service"], row["scope"]) == ("run-1", 3, "trainer", "meter")
    assert (row["name"], row["unit"], row["kind"], row["value"]) == ("queue", "1", "gauge", 5.0)
    assert (row["attributes"], row["seq"], row["start"]) == ([("a", "x"), ("b", "1")], -1, 0)


def test_a_sum_says_how_it_counts() -> None:
    """Temporality, monotonicity, start of the count; NaN is a value."""
    metric = Metric(name="tokens")
    metric.sum.aggregation_temporality, metric.sum.is_monotonic = CUMULATIVE, True
    metric.sum.data_points.add(time_unix_nano=T0, start_time_unix_nano=T0 - 9, as_double=math.nan)

    (row,) = stored(metric)

    assert (row["kind"], row["temporality"], row["monotonic"], row["start"]) == (
        "sum",
        "cumulative",
        True,
        T0 - 9,
    )
    assert math.isnan(row["value"])


def test_a_point_without_a_value_has_none() -> None:
    """The flag "no recorded value" and an empty point end in null, not in zero."""
    metric = Metric(name="gone")
    metric.gauge.data_points.add(time_unix_nano=T0, as_double=1.0, flags=1)
    metric.gauge.data_points.add(time_unix_nano=T0)

    assert [(row["value"], row["flags"]) for row in stored(metric)] == [(None, 1), (None, 0)]


def test_a_histogram_has_its_buckets() -> None:
    """Count, sum, extremes where sent, counts and bounds; no value."""
    metric = Metric(name="latency")
    metric.histogram.data_points.add(
        time_unix_nano=T0, count=3, sum=6.0, max=4.0, bucket_counts=[1, 2], explicit_bounds=[2.5]
    )

    (row,) = stored(metric)

    assert (row["kind"], row["count"], row["sum"], row["min"], row["max"]) == ("histogram", 3, 6.0, None, 4.0)
    assert (row["bucket_counts"], row["explicit_bounds"], row["value"]) == ([1, 2], [2.5], None)


def test_an_exponential_histogram_has_scale_and_both_sides() -> None:
    """All that is needed to compute its buckets again."""
    metric = Metric(name="latency")
    point = metric.exponential_histogram.data_points.add(
        time_unix_nano=T0, count=6, sum=1.0, scale=-2, zero_count=1
    )
    point.positive.offset, point.negative.offset = 4, -4
    point.positive.bucket_counts.extend([2, 1])
    point.negative.bucket_counts.extend([2**64 - 1])

    (row,) = stored(metric)

    assert (row["kind"], row["scale"], row["zero_count"]) == ("exponential_histogram", -2, 1)
    assert (row["positive_offset"], row["positive_counts"]) == (4, [2, 1])
    assert (row["negative_offset"], row["negative_counts"]) == (-4, [2**64 - 1])


def test_a_summary_has_its_quantiles() -> None:
    """Count, sum, quantiles and their values."""
    metric = Metric(name="latency")
    point = metric.summary.data_points.add(time_unix_nano=T0, count=2, sum=3.0)
    point.quantile_values.add(quantile=0.5, value=1.0)

    (row,) = stored(metric)

    assert (row["kind"], row["count"], row["sum"]) == ("summary", 2, 3.0)
    assert (row["quantiles"], row["quantile_values"]) == ([0.5], [1.0])


def test_a_metric_without_data_is_no_row() -> None:
    """An empty metric is neither a row nor an error."""
    assert stored(Metric(name="empty")) == []


def test_a_point_that_came_as_a_log_record() -> None:
    """Emitters send what they pulled as records with a number: they are rows like those of OTLP metrics."""
    attributes = {"metric.name": "up", "value": 1, "gpu": "3", "attributes.value": "x", "train.seq": 4}
    found = rows_of(record(logs({"event": "metric", "attributes": attributes}))).arrow()

    (row,) = listed(found["train_metrics"])
    assert (row["name"], row["kind"], row["value"], row["time"]) == ("up", "gauge", 1.0, T0)
    assert (row["attributes"], row["seq"], row["emitter"]) == ([("gpu", "3"), ("value", "x")], 4, "e3")
    assert ("train.run.id", "run-1") in row["resource"]


def test_a_log_record_that_only_looks_like_a_point() -> None:
    """Without a name or a number it is kept with the other records."""
    given = [{"metric.name": "up", "value": "high"}, {"value": 1.0, "train.seq": 5}]
    found = rows_of(record(logs(*({"event": "metric", "attributes": one} for one in given)))).arrow()

    assert "train_metrics" not in found
    assert len(found["otel_logs"]) == 2
