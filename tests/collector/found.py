"""What the Collector wrote, read by OpenTelemetry's own classes, and made comparable field by field."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from emitter.vocabulary import attributes as names
from tests.collector.telling import EXPECTED, Expected
from tests.emitter.receiver import attributes
from tests.emitter.test_wire import all_same


class Flat(NamedTuple):
    """A record or span with its surroundings, each as protobuf's text: all fields, NaN and -0 too."""

    resource: str
    scope: str
    record: str


def groups(bodies: Iterable[bytes], run: str) -> list[ResourceLogs]:
    """The groups of these requests that belong to the run."""
    requests = [ExportLogsServiceRequest.FromString(body) for body in bodies]
    return [group for one in requests for group in one.resource_logs if run in str(group.resource)]


def logs(bodies: Iterable[bytes], run: str = "") -> list[tuple[Flat, LogRecord]]:
    """The log records of these requests, in order, of one run where it is given."""
    found = []
    for body in bodies:
        for group in ExportLogsServiceRequest.FromString(body).resource_logs:
            for scoped in group.scope_logs:
                surroundings = f"{group.resource}{group.schema_url}", f"{scoped.scope}{scoped.schema_url}"
                for one in scoped.log_records:
                    if one.body.WhichOneof("value") is None:  # the Collector writes none as an empty one
                        one.ClearField("body")
                    found.append((Flat(*surroundings, str(one)), one))
    return [pair for pair in found if run in pair[0].resource]


def spans(bodies: Iterable[bytes], run: str = "") -> list[tuple[Flat, Span]]:
    """As logs, for spans."""
    found = []
    for body in bodies:
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scoped in group.scope_spans:
                surroundings = f"{group.resource}{group.schema_url}", f"{scoped.scope}{scoped.schema_url}"
                found += [(Flat(*surroundings, str(one)), one) for one in scoped.spans]
    return [pair for pair in found if run in pair[0].resource]


def flat(pairs: list[tuple[Flat, Any]]) -> list[Flat]:
    return [pair[0] for pair in pairs]


def check_records(records: Iterable[LogRecord]) -> None:
    """These are the records that telling.tell() was to make: names, numbers, kinds and texts."""
    wanted = {expected.name for expected in EXPECTED}
    own = [record for record in records if record.event_name in wanted]
    assert [record.event_name for record in own] == [expected.name for expected in EXPECTED]
    for record, expected in zip(own, EXPECTED, strict=True):
        _check_record(record, expected)


def _check_record(record: LogRecord, expected: Expected) -> None:
    values = attributes(record)
    assert isinstance(values.pop(names.SEQ), int)
    epoch = values.pop(names.EPOCH, None)
    if expected.name == "train.step":
        assert expected.step is not None
        assert epoch == (expected.step / 4 if expected.step % 2 else None)
    step = values.pop(names.STEP, None)
    assert expected.step in (None, step), expected
    for name in ("step_time", "data_time"):  # measured, where the record has it
        assert math.isfinite(values.pop(name, 0.0))
    assert sorted(values) == sorted(expected.values), expected
    assert all_same({name: values[name] for name in expected.values}, expected.values), expected
    assert record.HasField("body") is (expected.body is not None)
    assert record.body.string_value == (expected.body or "")
    assert (record.severity_number, record.severity_text) == (expected.severity, expected.severity_text)
    assert record.time_unix_nano == record.observed_time_unix_nano > 1_600_000_000 * 10**9


def check_spans(found: list[Span]) -> None:
    """These are the spans of telling.tell(): parts under their parent, kind, status and attributes."""
    by_name = {span.name: span for span in found if attributes(span)[names.STEP] == 31}
    (failed,) = [span for span in found if attributes(span)[names.STEP] == 32]
    assert sorted(by_name) == [
        "checkpoint.save", "checkpoint.stage", "checkpoint.verify", "checkpoint.write",
    ]  # fmt: skip
    save = by_name["checkpoint.save"]
    assert {len(save.trace_id), len(save.span_id) * 2} == {16}
    for name, span in by_name.items():
        assert span.trace_id == save.trace_id
        assert span.parent_span_id == (b"" if span is save else save.span_id), name
        assert span.start_time_unix_nano <= span.end_time_unix_nano
        assert (span.kind, span.status.code, span.status.message) == (Span.SPAN_KIND_INTERNAL, 1, "")
    values = attributes(save)
    assert values["checkpoint.path"] == "/ckpt/ü 😀"
    assert values["checkpoint.bytes"] == 2**40
    assert values["checkpoint.verified"] is True
    assert (failed.status.code, failed.status.message) == (2, "OSError: voll 😀")
    assert failed.trace_id != save.trace_id
