"""Cutting OTLP requests for Kafka loses, doubles and reorders nothing."""

from __future__ import annotations

from typing import Any

from aiokafka.errors import MessageSizeTooLargeError
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, ResourceMetrics, ScopeMetrics
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from emitter.kafka.split import halves, write_in_parts

SHAPES = st.lists(st.lists(st.lists(st.text(max_size=60), max_size=6), max_size=3), max_size=3)
"""Names of records, in scopes, in resources."""


def _logs(shape: list[list[list[str]]]) -> bytes:
    return ExportLogsServiceRequest(
        resource_logs=[
            ResourceLogs(
                resource=_resource(number),
                schema_url="u",
                scope_logs=[
                    ScopeLogs(scope=_scope(at), log_records=[LogRecord(event_name=name) for name in names])
                    for at, names in enumerate(scopes)
                ],
            )
            for number, scopes in enumerate(shape)
        ]
    ).SerializeToString()


def _resource(number: int) -> Resource:
    return Resource(attributes=[KeyValue(key="number", value=AnyValue(int_value=number))])


def _scope(number: int) -> InstrumentationScope:
    return InstrumentationScope(name=f"scope {number}")


def _records(bodies: list[bytes]) -> list[tuple[Any, str, str]]:
    """Each record with the resource and the scope that it stands in."""
    return [
        (group.resource.attributes[0].value.int_value, scope.scope.name, record.event_name)
        for body in bodies
        for group in ExportLogsServiceRequest.FromString(body).resource_logs
        for scope in group.scope_logs
        for record in scope.log_records
    ]


@given(SHAPES)
def test_halves_hold_what_the_whole_held(shape: list[list[list[str]]]) -> None:
    """Same records in the same order under the same resource and scope, and no empty groups."""
    whole = _logs(shape)
    count = len(_records([whole]))
    found = halves(whole)

    assert (found is None) == (count < 2)
    if found is not None:
        assert _records(list(found)) == _records([whole])
        assert [len(_records([half])) for half in found] == [count // 2, count - count // 2]
        groups = [
            group for half in found for group in ExportLogsServiceRequest.FromString(half).resource_logs
        ]
        assert all(scope.log_records for group in groups for scope in group.scope_logs)
        assert all(group.scope_logs for group in groups)


@given(SHAPES, st.integers(40, 300), st.integers(40, 300))
def test_parts_fit_and_the_rest_is_counted(shape: list[list[list[str]]], ours: int, theirs: int) -> None:
    """Nothing above our limit or the topic's is written; written plus refused is what there was."""
    written: list[bytes] = []

    def write(body: bytes) -> None:
        assert len(body) <= ours
        if len(body) > theirs:
            raise MessageSizeTooLargeError
        written.append(body)

    whole = _logs(shape)
    refused = write_in_parts(whole, ours, write)
    there, arrived = _records([whole]), _records(written)

    assert refused.largest == 0 or refused.largest > min(ours, theirs)
    if there:
        assert len(arrived) + refused.records == len(there)
    rest = iter(there)
    assert all(record in rest for record in arrived)


def test_spans_and_metrics_are_cut_too() -> None:
    """The same for the other signals."""
    spans = ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=[Span(name=name) for name in "abc"])])]
    )
    metrics = ExportMetricsServiceRequest(
        resource_metrics=[
            ResourceMetrics(scope_metrics=[ScopeMetrics(metrics=[Metric(name=name) for name in "abc"])])
        ]
    )
    first, second = halves(spans.SerializeToString()) or (b"", b"")
    third, fourth = halves(metrics.SerializeToString()) or (b"", b"")

    def names(kind: Any, body: bytes, *path: str) -> list[str]:
        found = [kind.FromString(body)]
        for part in path:
            found = [inner for outer in found for inner in getattr(outer, part)]
        return [one.name for one in found]

    traces = (ExportTraceServiceRequest, "resource_spans", "scope_spans", "spans")
    assert [names(traces[0], body, *traces[1:]) for body in (first, second)] == [["a"], ["b", "c"]]
    numbers = (ExportMetricsServiceRequest, "resource_metrics", "scope_metrics", "metrics")
    assert [names(numbers[0], body, *numbers[1:]) for body in (third, fourth)] == [["a"], ["b", "c"]]
