"""Metric points to events."""

from __future__ import annotations

import math
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import DataPointFlags, Metric

from stream.events import Event
from stream.otlp import events


def _events(*metrics: Metric) -> list[Event]:
    request = ExportMetricsServiceRequest()
    request.resource_metrics.add().scope_metrics.add().metrics.extend(metrics)
    return [event for group in events.events_from_metrics(request) for event in group.events]


def _attribute(point: Any, name: str, value: int) -> None:
    point.attributes.add(key=name).value.int_value = value


def test_numbers_of_gauges_and_sums() -> None:
    """Each point is an event with its value as logged and its attributes as strings."""
    gauge, total = Metric(name="temp"), Metric(name="count")
    gauge.gauge.data_points.add(time_unix_nano=1, as_double=math.inf)
    point = total.sum.data_points.add(time_unix_nano=2, as_int=0)
    _attribute(point, "gpu", 3)
    first, second = _events(gauge, total)
    assert (first.name, first.metric, first.time, first.values) == ("metric", "temp", 1, {"value": math.inf})
    assert (second.metric, second.values) == ("count", {"gpu": "3", "value": 0})


def test_attributes_that_carry_our_names_are_kept_apart() -> None:
    """An attribute called `value` or `count` does not hide the number."""
    metric = Metric(name="m")
    point = metric.gauge.data_points.add(as_int=5)
    _attribute(point, "value", 1)
    _attribute(point, "count", 2)
    assert _events(metric)[0].values == {"attributes.value": "1", "attributes.count": "2", "value": 5}


def test_histograms() -> None:
    """Histograms give count and, where they are set, sum, min and max."""
    plain, exponential = Metric(name="h"), Metric(name="e")
    plain.histogram.data_points.add(count=2, sum=4.0, min=1.0, max=3.0, bucket_counts=[1, 1])
    exponential.exponential_histogram.data_points.add(count=1)
    first, second = _events(plain, exponential)
    assert first.values == {"count": 2, "sum": 4.0, "min": 1.0, "max": 3.0}
    assert second.values == {"count": 1}


def test_summaries() -> None:
    """Summaries give count, sum and their quantiles."""
    metric = Metric(name="s")
    point = metric.summary.data_points.add(count=4, sum=8.0)
    point.quantile_values.add(quantile=0.99, value=3.5)
    assert _events(metric)[0].values == {"count": 4, "sum": 8.0, "quantile.0.99": 3.5}


def test_points_without_a_value_are_no_events() -> None:
    """A missing value, the flag for one, and a metric without data give nothing."""
    empty, flagged = Metric(name="a"), Metric(name="b")
    empty.gauge.data_points.add()
    flagged.gauge.data_points.add(as_int=1, flags=DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK)
    assert _events(empty, flagged, Metric(name="c")) == []


def test_a_log_record_can_be_a_point() -> None:
    """An emitter that pulls an endpoint sends numbered records; attributes keep their names."""
    request = ExportLogsServiceRequest()
    log = request.resource_logs.add().scope_logs.add().log_records.add(event_name="metric", time_unix_nano=5)
    for name, value in (("metric.name", "DCGM_FI_DEV_GPU_TEMP"), ("gpu", "3"), ("lr", "x")):
        log.attributes.add(key=name).value.string_value = value
    log.attributes.add(key="value").value.double_value = 61.0
    log.attributes.add(key="train.seq").value.int_value = 9
    ((event,),) = [group.events for group in events.events_from_logs(request)]

    assert (event.name, event.metric, event.seq) == ("metric", "DCGM_FI_DEV_GPU_TEMP", 9)
    assert event.values == {"gpu": "3", "lr": "x", "value": 61.0}
    del log.attributes[0]
    ((other,),) = [group.events for group in events.events_from_logs(request)]
    assert (other.metric, other.values["learning_rate"]) == (None, "x")
