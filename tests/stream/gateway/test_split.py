"""From a request to Kafka messages."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from stream.gateway.signals import SIGNALS
from stream.gateway.split import Messages, messages_of
from stream.otlp import beacon

LOGS, SPANS, METRICS = SIGNALS


def _logs(*groups: tuple[str | None, list[int]]) -> ExportLogsServiceRequest:
    """A request with one resource for each (emitter id, sizes of its records)."""
    request = ExportLogsServiceRequest()
    number = 0
    for emitter, sizes in groups:
        group = request.resource_logs.add(schema_url="https://example.test/schema")
        if emitter is not None:
            group.resource.attributes.add(key="train.emitter.id").value.string_value = emitter
        scope = group.scope_logs.add()
        scope.scope.name = "scope"
        for size in sizes:
            scope.log_records.add(time_unix_nano=number, event_name="e").body.string_value = "x" * size
            number += 1
    return request


def _split(request: Any, limit: int, signal: Any = LOGS) -> Messages:
    return messages_of(signal, request, request.SerializeToString(), limit)


def _times(values: list[bytes]) -> list[tuple[str, int]]:
    return [
        (group.resource.attributes[0].value.string_value, record.time_unix_nano)
        for value in values
        for group in ExportLogsServiceRequest.FromString(value).resource_logs
        for scope in group.scope_logs
        for record in scope.log_records
    ]


def test_a_request_that_fits_goes_as_it_came() -> None:
    """The bytes are not touched, fields of later versions included."""
    payload = _logs(("e", [1, 2])).SerializeToString() + b"\xfa\x3f\x03new"
    assert messages_of(LOGS, ExportLogsServiceRequest.FromString(payload), payload).values == [payload]


def test_an_empty_request_is_no_message() -> None:
    """Nothing in, nothing out."""
    assert _split(ExportLogsServiceRequest(), 100) == Messages()


@pytest.mark.parametrize(
    ("groups", "key"),
    [
        ([("a", [1]), ("a", [1])], b"a"),
        ([("a", [1]), ("b", [1])], None),
        ([("a", [1]), (None, [1])], None),
        ([(None, [1])], None),
        ([("", [1])], None),
    ],
)
def test_the_key_is_the_emitter_that_all_resources_share(
    groups: list[tuple[str | None, list[int]]], key: bytes | None
) -> None:
    """Mixed or missing emitters give no key."""
    assert _split(_logs(*groups), 10_000).key == key


@given(st.lists(st.lists(st.integers(0, 700), max_size=12), min_size=1, max_size=4), st.integers(300, 900))
def test_splitting_keeps_all_that_fits_in_order(sizes: list[list[int]], limit: int) -> None:
    """Every message is below the limit; nothing is lost, doubled or moved; the rest is counted."""
    request = _logs(*((f"e{index}", part) for index, part in enumerate(sizes)))
    result = _split(request, limit)
    assert all(len(value) <= limit for value in result.values)
    everything, kept = _times([request.SerializeToString()]), _times(result.values)
    assert len(kept) + result.rejected == len(everything)
    assert kept == [item for item in everything if item in set(kept)]
    small = {
        number
        for (_, number), size in zip(everything, chain.from_iterable(sizes), strict=True)
        if size < limit - 200
    }
    assert small <= {number for _, number in kept}


def test_parts_keep_resource_scope_and_schema() -> None:
    """Each part names who sent it, as the whole did."""
    result = _split(_logs(("e", [200] * 10)), 600)
    assert len(result.values) > 3
    assert result.key == b"e"
    for value in result.values:
        (group,) = ExportLogsServiceRequest.FromString(value).resource_logs
        assert (group.schema_url, group.scope_logs[0].scope.name) == ("https://example.test/schema", "scope")


def test_a_record_too_large_is_rejected_alone() -> None:
    """It is counted with its size; its neighbours go on."""
    result = _split(_logs(("e", [10, 5000, 10])), 1000)
    assert [number for _, number in _times(result.values)] == [0, 2]
    assert result.rejected == 1
    assert "a record of 50" in result.reason
    assert "does not fit into a message of 1000 bytes" in result.reason


def test_a_metric_with_many_points_is_divided() -> None:
    """Points of one metric may travel in several messages; each keeps name and kind."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="m", unit="s")
    metric.sum.is_monotonic = True
    for number in range(100):
        metric.sum.data_points.add(time_unix_nano=number, as_int=number)
    result = _split(request, 500, METRICS)
    found = [
        part
        for value in result.values
        for part in ExportMetricsServiceRequest.FromString(value).resource_metrics[0].scope_metrics[0].metrics
    ]
    assert all(len(value) <= 500 for value in result.values)
    assert {(part.name, part.unit, part.sum.is_monotonic) for part in found} == {("m", "s", True)}
    assert [point.as_int for part in found for point in part.sum.data_points] == list(range(100))
    assert result.rejected == 0


def test_rejected_metrics_count_their_points() -> None:
    """A point that does not fit counts as one data point."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="m")
    metric.gauge.data_points.add(as_int=1).attributes.add(key="x" * 2000)
    metric.gauge.data_points.add(as_int=2)
    result = _split(request, 500, METRICS)
    assert (len(result.values), result.rejected) == (1, 1)


def test_nobody_else_may_send_beacons() -> None:
    """A beacon from outside is left out and counted; other records of the request go on."""
    request = _logs(("e", [1]))
    request.resource_logs[0].scope_logs[0].log_records.add(event_name="trainwarden.beacon")
    result = _split(request, 10_000)
    assert (len(_times(result.values)), result.rejected) == (1, 1)
    assert result.reason == "the event name trainwarden.beacon is reserved"
    forged = beacon.beacon_request(2**62, "gw")
    alone = messages_of(LOGS, ExportLogsServiceRequest.FromString(forged), forged)
    assert all(beacon.beacon_of(ExportLogsServiceRequest.FromString(v)) is None for v in alone.values)


def test_a_line_that_speaks_of_beacons_is_no_beacon() -> None:
    """The word in a body changes nothing."""
    request = _logs(("e", [0]))
    request.resource_logs[0].scope_logs[0].log_records[0].body.string_value = "trainwarden.beacon"
    assert _split(request, 10_000).values == [request.SerializeToString()]
