"""The emitter to a real Collector over OTLP: what it writes is what was sent, field by field."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from emitter._records import LOGS, SEVERITY_TEXT, TRACES, Fate, Log, Payload, Span
from emitter.otlp import encoder
from emitter.otlp.encoder import Encoder
from emitter.otlp.http_exporter import HttpExporter
from tests.collector import found, telling
from tests.collector.otelcol import Filed, running
from tests.collector.telling import Tap
from tests.emitter.receiver import attributes
from tests.emitter.test_wire import all_same
from tests.fixtures import wait_for

pytestmark = [pytest.mark.collector, pytest.mark.slow]

INTS = (0, 1, -1, 127, 128, 2**31, 2**53 + 1, 2**63 - 1, -(2**63))
FLOATS = (0.0, -0.0, 0.1, 5e-324, 1.7976931348623157e308, float("inf"), float("-inf"), float("nan"))
TEXTS = ("", " ", "größer 😀", "\x00\x01\x7f", "\n\t\"'\\", "\u202e\ufeff\uffff", "x" * 300, "é" * 2000)


@pytest.fixture(scope="module")
def filed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filed]:
    collector = Filed(tmp_path_factory.mktemp("collector"))
    with running(collector):
        yield collector


@pytest.mark.parametrize(
    ("protocol", "compression"),
    [("http", "none"), ("http", "gzip"), ("http", "deflate"), ("grpc", "none"), ("grpc", "gzip")],
)
def test_whole_session_arrives_as_it_was_sent(
    filed: Filed, tap: Tap, monkeypatch: pytest.MonkeyPatch, protocol: str, compression: str
) -> None:
    """Over HTTP and gRPC, compressed or not: resource, scope and every field of every record, in order."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
    run = uuid.uuid4().hex
    telling.tell(run, f"{protocol}://127.0.0.1:{getattr(filed, protocol)}")

    sent, sent_spans = found.logs(tap.logs), found.spans(tap.spans)
    wait_for(lambda: len(found.logs(filed.bodies("logs"), run)) >= len(sent), what="the log records")
    wait_for(lambda: len(found.spans(filed.bodies("traces"), run)) >= len(sent_spans), what="the spans")
    arrived, spans = found.logs(filed.bodies("logs"), run), found.spans(filed.bodies("traces"), run)
    assert found.flat(arrived) == found.flat(sent)
    assert found.flat(spans) == found.flat(sent_spans)
    found.check_records(record for _, record in arrived)
    found.check_spans([span for _, span in spans])


def _send(filed: Filed, *payloads: Payload) -> None:
    url = f"http://127.0.0.1:{filed.http}"
    exporter = HttpExporter(f"{url}/v1/logs", f"{url}/v1/traces", 30)
    try:
        assert [exporter.send(payload).fate for payload in payloads] == [Fate.SENT] * len(payloads)
    finally:
        exporter.close()


VALUES: dict[str, int | float | str | bool] = {
    **{f"int/{number}": value for number, value in enumerate(INTS)},
    **{f"float/{number}": value for number, value in enumerate(FLOATS)},
    **{f"text/{number}": value for number, value in enumerate(TEXTS)},
    **{text[:200]: number for number, text in enumerate(TEXTS)},
    "true": True,
    "false": False,
}


def test_values_bodies_times_and_severities_of_all_kinds(filed: Filed) -> None:
    """The ends of every range, and texts that others trip over, stand in the Collector's file as given."""
    run = uuid.uuid4().hex
    resource = {"train.run.id": run, **VALUES}
    made = [
        Log(number, time_ns, f"name {body}"[:100], {"seq": number, **VALUES}, body, severity)
        for number, (time_ns, body, severity) in enumerate(
            (time_ns, body, severity)
            for time_ns in (0, 1, 1_700_000_000_123_456_789, 2**64 - 1)
            for body in (None, *TEXTS)
            for severity in (0, *SEVERITY_TEXT, 1, 24)
        )
    ]
    parts = [encoder.log(record) for record in made]
    half = len(parts) // 2  # two requests: the second finds the connection open
    _send(
        filed,
        *(Encoder(resource).payload(LOGS, some, len(some)) for some in (parts[:half], parts[half:])),
    )

    wait_for(lambda: len(found.logs(filed.bodies("logs"), run)) >= len(made), what="the log records")
    arrived = found.logs(filed.bodies("logs"), run)
    assert len(arrived) == len(made)
    for (_, one), record in zip(arrived, made, strict=True):
        assert (one.time_unix_nano, one.observed_time_unix_nano) == (record.time_ns, record.time_ns)
        assert (one.event_name, one.severity_number) == (record.name, record.severity)
        assert one.severity_text == SEVERITY_TEXT.get(record.severity, "")
        assert one.HasField("body") is (record.body is not None)
        assert one.body.string_value == (record.body or "")
        assert all_same(attributes(one), record.attributes)


def test_spans_of_all_kinds(filed: Filed) -> None:
    """Ids with zeros in front, parents, times, attributes and failures stand in the Collector's file."""
    run = uuid.uuid4().hex
    made = [
        Span(f"span {text}"[:100], trace_id, span_id, parent, start_ns, end_ns, dict(VALUES), error)
        for trace_id, span_id, parent in ((1, 1, None), (2**128 - 1, 2**64 - 1, 1), (2**64, 2**32, 2**63))
        for start_ns, end_ns in ((0, 0), (1_700_000_000_123_456_789, 2**64 - 1))
        for text, error in zip(TEXTS, (None, "voll 😀", "", *TEXTS[3:]), strict=True)
    ]
    _send(
        filed, Encoder({"train.run.id": run}).payload(TRACES, [encoder.span(one) for one in made], len(made))
    )

    wait_for(lambda: len(found.spans(filed.bodies("traces"), run)) >= len(made), what="the spans")
    arrived = found.spans(filed.bodies("traces"), run)
    assert len(arrived) == len(made)
    for (_, one), span in zip(arrived, made, strict=True):
        assert one.name == span.name
        assert one.trace_id == span.trace_id.to_bytes(16, "big")
        assert one.span_id == span.span_id.to_bytes(8, "big")
        assert one.parent_span_id == (b"" if span.parent_id is None else span.parent_id.to_bytes(8, "big"))
        assert (one.start_time_unix_nano, one.end_time_unix_nano) == (span.start_ns, span.end_ns)
        assert (one.kind, one.flags) == (one.SPAN_KIND_INTERNAL, 0x101)
        assert (one.status.code, one.status.message) == (1 if span.error is None else 2, span.error or "")
        assert all_same(attributes(one), span.attributes)
