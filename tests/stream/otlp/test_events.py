"""Requests to events."""

from __future__ import annotations

import json
import logging
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from emitter.vocabulary import metrics
from stream.events import Event
from stream.otlp import events

FULL = {
    "train.run.id": "run-1", "train.run.name": "gpt", "train.attempt": 2, "train.rank": 3,
    "train.local_rank": 1, "train.world_size": 8, "train.node.rank": 0, "host.name": "node-a",
    "train.role": "trainer", "train.emitter.id": "e-1", "service.name": "svc", "process.pid": 77,
}  # fmt: skip


def _set(pairs: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        target = pairs.add(key=name).value
        if isinstance(value, bool):
            target.bool_value = value
        elif isinstance(value, int):
            target.int_value = value
        elif isinstance(value, float):
            target.double_value = value
        elif isinstance(value, bytes):
            target.bytes_value = value
        elif isinstance(value, list):
            for item in value:
                target.array_value.values.add(int_value=item)
            target.array_value.SetInParent()
        elif isinstance(value, dict):
            _set(target.kvlist_value.values, value)
            target.kvlist_value.SetInParent()
        elif value is not None:
            target.string_value = value


def _logs(resource: dict[str, Any], *records: dict[str, Any]) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    _add_logs(request, resource, *records)
    return request


def _add_logs(request: ExportLogsServiceRequest, resource: dict[str, Any], *records: dict[str, Any]) -> None:
    group = request.resource_logs.add()
    _set(group.resource.attributes, resource)
    scope = group.scope_logs.add()
    for values in records:
        record = scope.log_records.add(time_unix_nano=9, event_name="train.step")
        _set(record.attributes, values)


def _event(values: dict[str, Any], resource: dict[str, Any] | None = None) -> Event:
    (group,) = events.events_from_logs(_logs(resource or {}, values))
    (event,) = group.events
    return event


def test_resource_attributes_are_typed() -> None:
    """Every attribute of the vocabulary reaches its field; all stay among the strings."""
    (group,) = events.events_from_logs(_logs(FULL, {}), "gw-1")
    (found,) = group.resources
    assert (found.run, found.run_name, found.attempt, found.rank) == ("run-1", "gpt", 2, 3)
    assert (found.local_rank, found.world_size, found.node_rank) == (1, 8, 0)
    assert (found.node, found.role, found.emitter) == ("node-a", "trainer", "e-1")
    assert (found.service, found.pid, found.gateway) == ("svc", 77, "gw-1")
    assert found.attributes == {name: str(value) for name, value in FULL.items()}


@pytest.mark.parametrize(
    ("value", "rank"),
    [("3", 3), (3.0, 3), (" 3", 3), ("x", None), (3.5, None), (True, None), (math.nan, None), ("", None),
     ("9" * 30, None), (1e300, None), ("9" * 5000, None), ([3], None), ("\u00b3", None), ("+-3", None)],
)  # fmt: skip
def test_integers_of_the_wrong_type_are_converted_or_unknown(value: Any, rank: int | None) -> None:
    """A rank in another type counts where it is a whole number; else it is unknown, and nothing dies."""
    (group,) = events.events_from_logs(_logs({"train.rank": value, "train.attempt": "x"}, {}))
    assert (group.resources[0].rank, group.resources[0].attempt) == (rank, 0)


def test_step_carries_its_place_and_canonical_values() -> None:
    """seq, step and epoch leave the values; logged names become canonical ones."""
    event = _event(
        {"train.seq": 5, "train.step": 7, "train.epoch": 0.5, "train/loss": 1.5, "lr": 0, "tag": "a"}
    )
    assert (event.seq, event.step, event.epoch, event.time) == (5, 7, 0.5, 9)
    assert event.values == {"loss": 1.5, "learning_rate": 0, "tag": "a"}


def test_aliases_of_the_user_win() -> None:
    """train.aliases of the resource extends the table, for that sender only."""
    request = _logs({"train.aliases": json.dumps({"my_loss": "loss"})}, {"my_loss": 2.0})
    _add_logs(request, {"service.name": "other"}, {"my_loss": 3.0})
    (group,) = events.events_from_logs(request)
    assert [event.values for event in group.events] == [{"loss": 2.0}, {"my_loss": 3.0}]


@pytest.mark.parametrize("aliases", ["{", "[1]", "7", '"x"'])
def test_broken_aliases_are_ignored_with_a_warning(aliases: str, caplog: pytest.LogCaptureFixture) -> None:
    """A table of aliases that is no JSON object is named in one warning; the values stay."""
    with caplog.at_level(logging.WARNING):
        assert _event({"x": 1.0}, {"train.aliases": aliases, "test": caplog.handler.name}).values == {
            "x": 1.0
        }
    assert "resource attribute train.aliases: expected a JSON object of strings, got" in caplog.text


def test_an_epoch_logged_as_a_metric_is_the_epoch() -> None:
    """epoch among the values moves to its place, but never over train.epoch."""
    assert (_event({"train/epoch": 2.5}).epoch, _event({"train/epoch": 2.5}).values) == (2.5, {})
    assert _event({"epoch": 2.5, "train.epoch": 1.0}).epoch == 1.0


def test_values_of_every_kind() -> None:
    """Zero, false and "" are values; bytes are base64, what nests is JSON, what is empty is left out."""
    event = _event(
        {"a": 0, "b": False, "c": "", "d": 0.0, "e": b"\x00\xff", "f": [1, 2], "g": {"x": True}, "h": None}
    )
    assert event.values == {
        "a": 0, "b": False, "c": "", "d": 0.0, "e": "AP8=", "f": "[1,2]", "g": '{"x":true}',
    }  # fmt: skip
    assert type(event.values["d"]) is float


def test_log_line_without_event_name() -> None:
    """It is a train.log with body and severity; a time of observation stands in for its own."""
    request = _logs({}, {})
    record = request.resource_logs[0].scope_logs[0].log_records[0]
    record.Clear()
    record.body.string_value, record.observed_time_unix_nano = "hello", 4
    record.severity_number = SeverityNumber.SEVERITY_NUMBER_ERROR
    (event,) = events.events_from_logs(request)[0].events
    assert (event.name, event.body, event.severity, event.time) == ("train.log", "hello", 17, 4)


@pytest.mark.parametrize(
    ("body", "text"), [(True, "true"), (1, "1"), (0.5, "0.5"), ({"a": [1]}, '{"a":[1]}'), ("", "")]
)
def test_bodies_become_text(body: Any, text: str) -> None:
    """A body of any type is a string."""
    request = _logs({}, {})
    holder = ExportLogsServiceRequest().resource_logs.add().resource.attributes
    _set(holder, {"body": body})
    request.resource_logs[0].scope_logs[0].log_records[0].body.CopyFrom(holder[0].value)
    assert events.events_from_logs(request)[0].events[0].body == text


def test_events_are_grouped_by_run_in_order() -> None:
    """Records of one run from several resources stay in order and point to their resource."""
    request = ExportLogsServiceRequest()
    first, second = {"train.run.id": "a", "train.rank": 0}, {"train.run.id": "a", "train.rank": 1}
    _add_logs(request, first, {"n": 1}, {"n": 2})
    _add_logs(request, {"service.name": "x"}, {"n": 3})
    _add_logs(request, second, {"n": 4})
    _add_logs(request, first, {"n": 5})
    _add_logs(request, {"train.run.id": "empty"})
    groups = events.events_from_logs(request)
    assert [group.run for group in groups] == ["a", ""]
    assert [(e.values["n"], groups[0].resources[e.resource].rank) for e in groups[0].events] == [
        (1, 0), (2, 0), (4, 1), (5, 0),
    ]  # fmt: skip
    assert len(groups[0].resources) == 2


names = st.sampled_from([*metrics.ALIASES, *metrics.BY_NAME, "other", "x/y"]).filter(
    lambda name: metrics.canonical(name) != "epoch"
)


@given(
    st.lists(st.dictionaries(names, st.floats(allow_nan=False), max_size=8), min_size=1, max_size=5),
    st.dictionaries(names, names, max_size=3),
)
def test_values_are_what_the_vocabulary_says(steps: list[dict[str, float]], aliases: dict[str, str]) -> None:
    """Remembered names give the same values as canonical_values for each record."""
    (group,) = events.events_from_logs(_logs({"train.aliases": json.dumps(aliases)}, *steps))
    expected = [metrics.canonical_values(values, aliases) for values in steps]
    for values in expected:
        values.pop("epoch", None)
    assert [event.values for event in group.events] == expected


def test_spans() -> None:
    """A span is an event with start, end, status, duration in seconds, and its attributes."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    _set(group.resource.attributes, FULL)
    span = group.scope_spans.add().spans.add(
        name="checkpoint.save", start_time_unix_nano=10**9, end_time_unix_nano=3 * 10**9
    )
    _set(span.attributes, {"checkpoint.verified": True, "train.step": 40, "duration": "mine"})
    span.status.code = Status.STATUS_CODE_OK
    (event,) = events.events_from_spans(request)[0].events
    assert (event.name, event.time, event.end, event.status) == ("checkpoint.save", 10**9, 3 * 10**9, "ok")
    assert (event.step, event.seq, event.body) == (40, None, None)
    assert event.values == {"checkpoint.verified": True, "duration": 2.0}


@pytest.mark.parametrize(
    ("code", "status"), [(0, "unset"), (1, "ok"), (2, "error"), (9, "unset"), (-1, "unset")]
)
def test_status_of_spans(code: int, status: str) -> None:
    """A status code of a later version counts as unset."""
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(name="s").status.code = code  # type: ignore[assignment]
    assert events.events_from_spans(request)[0].events[0].status == status
